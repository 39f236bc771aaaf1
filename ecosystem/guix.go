package ecosystem

import "fmt"

var guixRules = rules{
	build: func(name string) error { return checkDerivation(Guix, GuixStore, name) },
	file:  func(key string) error { return checkStoreOutput(Guix, GuixStore, key) },
	output: func(name string) error {
		if err := checkGuixName(name); err != nil {
			return fmt.Errorf("%.100q is not an output's name: %w", name, err)
		}
		return nil
	},
	split: splitStore,
	show:  showStore,
	pack:  storePackage,
	place: storePlace,
	rebuild: func(_ *Ecosystem, build string, _ []Output) []Command {
		if checkDerivation(Guix, GuixStore, build) != nil {
			return nil
		}
		return []Command{{
			"Build it again and compare with what is in your store; keep what differs.",
			"guix build \x00 --check --keep-failed",
			[]string{build},
		}}
	},
	purl: "guix",
	find: PURL.dashed,
}
