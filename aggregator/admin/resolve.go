package admin

import (
	"fmt"
	"strings"

	"repronet.dev/signing"
)

// minPrefix is how many characters of a builder's ID an operator has to give. Fewer fit
// one builder today and another tomorrow.
const minPrefix = 4

// Resolve returns the one builder among those whose IDs begin with the text that an
// operator gave; "" if there is none. A text that is too short or fits several builders
// is an error that lists them.
func Resolve(text string, fitting []signing.BuilderID) (signing.BuilderID, error) {
	if len(text) < minPrefix || strings.Trim(text, "abcdefghijklmnopqrstuvwxyz234567") != "" || len(text) > 32 {
		return "", Errorf(Invalid, "%.40q is no builder: want its ID, or the first characters of it, at least %d of a-z and 2-7", text, minPrefix)
	}
	switch len(fitting) {
	case 0:
		return "", nil
	case 1:
		return fitting[0], nil
	}
	const shown = 5
	var list strings.Builder
	for i, id := range fitting {
		if i == shown {
			fmt.Fprintf(&list, "\n  … and %d more", len(fitting)-shown)
			break
		}
		fmt.Fprintf(&list, "\n  %s", id)
	}
	return "", Errorf(Ambiguous, "%d builders have IDs that begin with %s: give more of it%s", len(fitting), text, list.String())
}
