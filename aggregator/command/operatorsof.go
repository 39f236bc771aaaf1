package command

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"repronet.dev/enrolment"
	"repronet.dev/evidence/guixsigs"
)

// maxOperator is the greatest length of an operator's name.
const maxOperator = 40

var notOfOperator = regexp.MustCompile(`[^a-z0-9]+`)

// pseudonym makes an operator's name of a file's.
func pseudonym(name string) string {
	name = strings.Trim(notOfOperator.ReplaceAllString(strings.ToLower(name), "-"), "-")
	if name == "" {
		name = "builder"
	}
	return strings.TrimRight(name[:min(len(name), maxOperator)], "-")
}

// operatorsOf says which operator files of keys belong to: by their paths, or by
// their names in whatever folder.
type operatorsOf map[string]string

// of returns the operator that was named for a file; "" if none was.
func (o operatorsOf) of(file string) string {
	if name, ok := o[file]; ok {
		return name
	}
	return o[path.Base(file)]
}

// check reports a file that was named and is not there: a misspelt name would make
// two operators of one person.
func (o operatorsOf) check(files []*guixsigs.KeyFile) error {
	for _, name := range slices.Sorted(maps.Keys(o)) {
		if !slices.ContainsFunc(files, func(f *guixsigs.KeyFile) bool { return f.Path == name || path.Base(f.Path) == name }) {
			return fmt.Errorf("--operator-of: there is no file of keys %q", name)
		}
	}
	return nil
}

// set takes "FILE=NAME".
func (o operatorsOf) set(text string) error {
	at := strings.LastIndex(text, "=") // an operator's name has none, a file's may
	if at <= 0 {
		return errors.New("not written as FILE=NAME")
	}
	file, name := strings.TrimSpace(text[:at]), strings.TrimSpace(text[at+1:])
	if err := enrolment.ValidateOperator(name); err != nil {
		return err
	}
	if other, ok := o[file]; ok && other != name {
		return fmt.Errorf("file %q is said to be of operator %s and of %s", file, other, name)
	}
	o[file] = name
	return nil
}

// operatorFlags are the flags that say which operator files of keys belong to.
type operatorFlags struct {
	single  operatorsOf
	mapping *string
}

func declareOperatorsOf(flags *flag.FlagSet) *operatorFlags {
	f := &operatorFlags{single: operatorsOf{}}
	flags.Func("operator-of", "`FILE=NAME`: the operator of a file of keys, by its path or name; may be given several times", f.single.set)
	f.mapping = flags.String("operators", "", "`file` with a line FILE=NAME for each file of keys whose operator is named")
	return f
}

// read returns what the flags and the file say.
func (f *operatorFlags) read() (operatorsOf, error) {
	if *f.mapping == "" {
		return f.single, nil
	}
	text, err := os.ReadFile(*f.mapping)
	if err != nil {
		return nil, fmt.Errorf("--operators: %w", err)
	}
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := f.single.set(line); err != nil {
			return nil, fmt.Errorf("--operators %s, line %d: %w", *f.mapping, number, err)
		}
	}
	return f.single, nil
}
