package ecosystem

import "strings"

// An Output names an output of a build: by its name within the build, and by its
// key.
type Output struct{ Name, Key string }

// A Command is a command line that a person may copy into a shell.
type Command struct {
	// Says is a sentence about what the command does.
	Says string
	// Line has a NUL for each of Words, which come from strangers: a page
	// quotes them for the shell, or leaves the command out.
	Line  string
	Words []string
}

// Rebuild returns how to make the outputs of a build again by hand, and report
// them under the keys that they have. It returns nothing where no command would
// make these outputs: a store path whose derivation is not known, a file of which
// nothing says how it was built.
func (e *Ecosystem) Rebuild(build string, outputs []Output) []Command {
	if e.rebuild != nil {
		return e.rebuild(e, build, outputs)
	}
	return attestCommand(e, build, outputs)
}

// commandOutputs is how many outputs a command names at most.
const commandOutputs = 3

// attestCommand runs a build of any kind and reports what came out. It names only
// outputs that would be reported under their own keys.
func attestCommand(e *Ecosystem, build string, outputs []Output) []Command {
	if e.CheckBuild(build) != nil {
		return nil
	}
	c := Command{
		Says: "Run your build and attest what came out.", Line: "repronet-reporter exec --ecosystem \x00 --build \x00",
		Words: []string{e.Name, build},
	}
	named := 0
	for _, o := range outputs {
		// A name ends at the first "=" of NAME=PATH.
		if named < commandOutputs && o.Name != "" && !strings.Contains(o.Name, "=") && e.Key(build, o.Name) == o.Key {
			c.Line += " \\\n    --output \x00=PATH"
			c.Words = append(c.Words, o.Name)
			named++
		}
	}
	if named == 0 {
		return nil
	}
	c.Line += " \\\n    -- YOUR BUILD COMMAND"
	return []Command{c}
}
