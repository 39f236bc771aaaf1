package divergence_test

import (
	"fmt"

	"repronet.dev/attestation"
	"repronet.dev/divergence"
)

// operators says that builders 1 and 2 are of alice (10), 3 of bob (20) and 4 of carol
// (30), who is not counted. enrolment.Roster says it of a ledger.
type operators struct{}

func (operators) Counts(builder uint32, _ uint64) (operator uint32, counted bool) {
	operator = map[uint32]uint32{1: 10, 2: 10, 3: 20, 4: 30}[builder]
	return operator, operator == 10 || operator == 20
}

// Two keys of one operator are one voice, and an operator who is not counted is none.
func ExampleJudge() {
	one, other := attestation.Digest{1}, attestation.Digest{2}
	var output divergence.Output
	say := func() {
		j := divergence.Judge(&output, operators{})
		fmt.Println(j.Verdict, j.Shape, j.Operators)
	}
	output.Add(divergence.Claim{Builder: 1, Digest: one, Index: 5})
	output.Add(divergence.Claim{Builder: 2, Digest: one, Index: 6})
	output.Add(divergence.Claim{Builder: 4, Digest: other, Index: 7})
	say()
	output.Add(divergence.Claim{Builder: 3, Digest: one, Index: 8})
	say()
	output.Add(divergence.Claim{Builder: 3, Digest: other, Index: 9})
	say()
	output.Withdraw(3, other)
	say()
	// Output:
	// single  1
	// reproduced  2
	// diverged self 2
	// reproduced  2
}
