package ecosystem

import (
	"fmt"
	"strings"
)

var nixRules = rules{
	build: func(name string) error { return checkDerivation(Nix, NixStore, name) },
	file:  func(key string) error { return checkStoreOutput(Nix, NixStore, key) },
	// The name of an output ends a store path's, and has the same grammar
	// (OutputsSpec in Nix's src/libstore/outputs-spec.cc).
	output: func(name string) error {
		if err := checkNixName(name); err != nil {
			return fmt.Errorf("%.100q is not an output's name: %w", name, err)
		}
		return nil
	},
	split:   splitStore,
	show:    showStore,
	pack:    storePackage,
	place:   storePlace,
	rebuild: nixCommands,
	purl:    "nix",
	find:    PURL.dashed,
}

// nixCommands build a derivation again, which Nix keeps under its own store paths, and
// report what came out otherwise, which it keeps beside them.
func nixCommands(e *Ecosystem, build string, outputs []Output) []Command {
	if checkDerivation(Nix, NixStore, build) != nil {
		return nil
	}
	commands := []Command{{ // which every Nix takes; "nix build" reads outputs of derivations since 2.12
		"Build it again and compare with what is in your store; keep what differs.", "nix-build \x00 --check -K", []string{build},
	}}
	for _, o := range outputs[:min(len(outputs), commandOutputs)] {
		if o.Name == "" || strings.Contains(o.Name, "=") || checkStoreOutput(Nix, NixStore, o.Key) != nil {
			continue // not one whose path the derivation fixes
		}
		commands = append(commands, Command{
			Says: "If Nix said that " + o.Name + " may not be deterministic: attest what it kept beside it.",
			Line: "repronet-reporter attest --ecosystem \x00 --rebuild --build \x00 --output \x00=\x00", Words: []string{e.Name, build, o.Name, o.Key + ".check"},
		})
	}
	return commands
}

// checkDerivation: a build is named by its recipe, which is in the store as well.
func checkDerivation(ecosystem, store, name string) error {
	p, err := parsePath(store, name)
	if err == nil && !strings.HasSuffix(p.Name, drvSuffix) {
		err = fmt.Errorf("it does not end in %s", drvSuffix)
	}
	if err != nil {
		return fmt.Errorf("a build of %s is named by its derivation's store path, %s<hash>-<name>.drv: %w", ecosystem, store, err)
	}
	return nil
}

func checkStoreOutput(ecosystem, store, key string) error {
	if _, err := parsePath(store, key); err != nil {
		return fmt.Errorf("an output of %s is named by its store path, %s<hash>-<name>, or by <derivation>^<output>: %w", ecosystem, store, err)
	}
	return nil
}

// splitStore: a store path contains no "^".
func splitStore(key string) (build, output string, found bool) { return strings.Cut(key, "^") }

// showStore sets the hash apart, which people do not read.
func showStore(name string) Shown {
	path, output, found := splitStore(name)
	p, err := ParseStorePath(path)
	if err != nil {
		return commonShow(name)
	}
	s := Shown{Dir: p.Store, Hash: p.Hash, Label: p.Name}
	s.Package, s.Version = SplitVersion(strings.TrimSuffix(p.Name, drvSuffix))
	if found {
		s.Label += "^" + output
	}
	return s
}

// SplitVersion is parseDrvName of Nix: a version is what follows the first dash
// that no letter follows.
func SplitVersion(name string) (pkg, version string) {
	for i := 0; i+1 < len(name); i++ {
		if c := name[i+1] | 0x20; name[i] == '-' && (c < 'a' || c > 'z') {
			return name[:i], name[i+1:]
		}
	}
	return name, ""
}
