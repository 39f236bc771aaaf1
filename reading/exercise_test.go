package reading_test

import (
	"testing"

	"repronet.dev/internal/exercisetest"
)

// TestNewKindOfEvidence adds a kind of evidence, as an exercise: one file that parses it
// and judges its signatures, and one line in the table of kinds. Index, replay and map
// know it then; nothing of theirs is touched.
func TestNewKindOfEvidence(t *testing.T) {
	exercisetest.Run(t, exercisetest.Exercise{
		Table: "kinds.go", After: "\t{ledger.Narinfo, peekNarinfo, openNarinfo},\n", Line: "\t{SignedList, peekList, openList},\n",
		Files: map[string]string{
			"signedlist.go":                        "testdata/exercise/kind.go.txt",
			"../aggregator/index/exercise_test.go": "testdata/exercise/index_test.go.txt",
		},
		Package: "repronet.dev/aggregator/index",
	})
}
