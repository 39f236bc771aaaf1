package closure

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"repronet.dev/internal/durable"
	"repronet.dev/verify"
	"repronet.dev/verify/policy"
)

// Told is of which contradicted outputs of a closure somebody was told: an output is told of
// once, and again only after it was not contradicted for a while.
type Told struct {
	file    string
	Outputs []verify.Output `json:"outputs"`
}

// LoadTold reads what was told from a file, which need not be there.
func LoadTold(file string) (*Told, error) {
	t := &Told{file: file}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return t, nil
	}
	if err == nil {
		err = json.Unmarshal(text, t)
	}
	if err != nil {
		return nil, fmt.Errorf("reading what was told before: %w: delete %s to be told of everything again", err, file)
	}
	return t, nil
}

// A Turn is an output that is contradicted and was not, or that is not any more.
type Turn struct {
	*Result
	Contradicted bool
}

// Contradicted reports whether operators disagree about the output, or agree on another digest
// than the installed one, and the policy does not accept that.
func (r *Result) Contradicted() bool {
	d := &r.Decision
	return d.Action != policy.Accept && (d.Finding == verify.Diverged || d.Finding == verify.Mismatch)
}

// Turns returns what of a report was not told: first what is contradicted, each part by key.
func (t *Told) Turns(r *Report) []Turn {
	var begun, ended []Turn
	for i := range r.Results {
		result := &r.Results[i]
		switch is, was := result.Contradicted(), slices.Contains(t.Outputs, result.Output); {
		case is && !was:
			begun = append(begun, Turn{result, true})
		case was && !is:
			ended = append(ended, Turn{result, false})
		}
	}
	byKey := func(a, b Turn) int { return strings.Compare(a.Key, b.Key) }
	slices.SortFunc(begun, byKey)
	slices.SortFunc(ended, byKey)
	return append(begun, ended...)
}

// Save notes that all of a report was told. What is not in it any more is forgotten.
func (t *Told) Save(r *Report) error {
	var told []verify.Output
	for i := range r.Results {
		if result := &r.Results[i]; result.Contradicted() {
			told = append(told, result.Output)
		}
	}
	if slices.Equal(told, t.Outputs) {
		return nil
	}
	t.Outputs = told
	text, err := json.Marshal(t)
	if err == nil {
		err = durable.MkdirAll(filepath.Dir(t.file), 0o700)
	}
	if err == nil {
		err = durable.WriteFile(t.file, text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("noting what was told: %w", err)
	}
	return nil
}
