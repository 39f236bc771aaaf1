package ecosystem_test

import (
	"testing"

	"repronet.dev/internal/exercisetest"
)

// TestNewEcosystem adds an ecosystem, as an exercise: one file, and one line in the table.
// Statements, pages and searches by package URL know it then; nothing of theirs is touched.
func TestNewEcosystem(t *testing.T) {
	exercisetest.Run(t, exercisetest.Exercise{
		Table: "ecosystem.go", After: "\tGeneric: {Name: Generic, rules: genericRules},\n", Line: "\tRPM:     {Name: RPM, rules: rpmRules},\n",
		Files: map[string]string{
			"rpm.go":                          "testdata/exercise/rpm.go.txt",
			"../attestation/exercise_test.go": "testdata/exercise/names_test.go.txt",
		},
		Package: "repronet.dev/attestation",
	})
}
