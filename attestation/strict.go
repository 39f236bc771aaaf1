package attestation

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// DecodeStrict reads a document in one of this project's own formats that is judged, from
// outside or from disk: UTF-8 JSON with each member at most once, spelled exactly, and no
// unknown ones, so that no two readers differ. What other projects write, and answers to
// which a newer version may add, are read by the JSON library itself.
//
// An error says which part of the document is wrong, by its JSON pointer (RFC 6901), and
// how: in the same words in each process, and without names of Go's.
func DecodeStrict(text []byte, into any) error {
	if err := json.Unmarshal(text, into, json.RejectUnknownMembers(true)); err != nil {
		return readable(err)
	}
	return nil
}

// readable removes the decoder's Go type names, which mean nothing to the reader
// sent the document.
func readable(err error) error {
	if semantic, ok := errors.AsType[*json.SemanticError](err); ok {
		where := string(semantic.JSONPointer)
		if where == "" {
			where = "the document"
		}
		switch {
		case errors.Is(err, json.ErrUnknownName):
			return fmt.Errorf("%s: unknown member (names are case-sensitive)", clip(where))
		case semantic.Err != nil:
			return fmt.Errorf("%s: %w", clip(where), semantic.Err)
		default:
			return fmt.Errorf("%s: %s has no place here", clip(where), kindName(semantic.JSONKind))
		}
	}
	if syntactic, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		if errors.Is(err, jsontext.ErrDuplicateName) {
			return fmt.Errorf("%s: the member occurs twice", clip(string(syntactic.JSONPointer)))
		}
		return fmt.Errorf("not JSON at byte %d: %w", syntactic.ByteOffset, syntactic.Err)
	}
	return err
}

func kindName(kind jsontext.Kind) string {
	switch kind {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case '0':
		return "a number"
	default:
		return kind.String()
	}
}
