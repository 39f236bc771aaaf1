package verify_test

import (
	"context"
	"fmt"

	"repronet.dev/divergence"
	"repronet.dev/verify"
)

// What repronet-verify output does: the copy of the ledger is extended, the evidence on
// an output is opened under the pins, and the user's quorum decides. Here nothing is pinned
// yet.
func Example() {
	ctx := context.Background()
	progress := func(what string, done, total uint64) { fmt.Println(what, done, total) }

	pins, err := verify.LoadPins("verify.json") // written by repronet-verify pin
	if err != nil {
		fmt.Println(err)
		return
	}
	mirror, err := pins.OpenMirror(ctx, "mirror")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer mirror.Close()
	if err := pins.Update(ctx, mirror, progress); err != nil {
		fmt.Println(err)
		return
	}
	evidence, err := mirror.Evidence(ctx, pins, "nix", "/nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-demo-1.0")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(evidence.Judgement.Verdict, "by", evidence.Judgement.Operators, "operators")
	if evidence.Decide(2, nil) == verify.Accepted {
		fmt.Println("two operators that you pinned got the same")
	}
	// Output: reading pins: stat verify.json: no such file or directory
}

// Two operators agree: enough for a quorum of two, not of three.
func ExampleEvidence_Decide() {
	evidence := verify.Evidence{Judgement: divergence.Judgement{Verdict: divergence.Reproduced, Operators: 2, Digests: 1}}
	fmt.Println(evidence.Decide(2, nil), evidence.Decide(3, nil))
	// Output: reproduced insufficient
}
