package cli

import (
	"io"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// JSON prints a value as one document, for people too: indented, with a line end. Bytes of
// a string that are no UTF-8, as in names of files, are printed as U+FFFD.
func JSON(w io.Writer, value any) error {
	return writeJSON(w, value, jsontext.WithIndent("  "))
}

// JSONLine prints a value as one line of many, like [JSON] otherwise.
func JSONLine(w io.Writer, value any) error {
	return writeJSON(w, value)
}

func writeJSON(w io.Writer, value any, form ...json.Options) error {
	form = append(form, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
	text, err := json.Marshal(value, form...)
	if err != nil {
		return err
	}
	_, err = w.Write(append(text, '\n'))
	return err
}
