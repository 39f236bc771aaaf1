package answers

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCompare(t *testing.T) {
	const question = "/api/v1/summary"
	for _, test := range []struct {
		name           string
		was, is        string
		want, newField string
	}{
		{"the same", "200\n{\"a\":1}", "200\n{\"a\":1}", "", ""},
		{"another number", "200\n{\"a\":1,\"b\":[1,2]}", "200\n{\"a\":1,\"b\":[1,3]}", question + ": line 2: /b/1: was 2, is 3", ""},
		{"a number written otherwise", `{"a":1}`, `{"a":1.0}`, question + ": line 1: /a: was 1, is 1.0", ""},
		{"large numbers", `{"a":9007199254740993}`, `{"a":9007199254740992}`, question + ": line 1: /a: was 9007199254740993, is 9007199254740992", ""},
		{"a field more", `[{"a":1}]`, `[{"a":1,"b":2}]`, "", "field /*/b"},
		{"a field less", `{"a":1,"b":2}`, `{"a":1}`, question + ": line 1: /b is gone", ""},
		{"null is not nothing", `{"a":null}`, `{}`, question + ": line 1: /a is gone", ""},
		{"another order", `[1,2]`, `[2,1]`, question + ": line 1: /0: was 1, is 2", ""},
		{"an item more", `[1]`, `[1,2]`, question + ": line 1: : was [1], is [1,2]", ""},
		{"another type", `{"a":"1"}`, `{"a":1}`, question + `: line 1: /a: was "1", is 1`, ""},
		{"another status", "200\n{}", "404\n{}", question + ": line 1: : was 200, is 404", ""},
		{"a line more", "{}\n{}", "{}\n{}\n{}", question + ": had 2 lines, has 3", ""},
		{"what is not said of a set", `{"observations":1}`, `{"observations":2}`, question + ": line 1: /observations: was 1, is 2", ""},
		{"other text", "status 0\nok", "status 3\nok", question + ": line 1: was status 0, is status 3", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := Compare(Answers{question: test.was}, Answers{question: test.is})
			var want Comparison
			switch {
			case test.want != "":
				want.Different = []string{test.want}
			case test.newField != "":
				want.Added = []string{test.newField}
			default:
				want.Same = 1
			}
			if diff := cmp.Diff(want, c); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestCompareQuestions: what one version leaves out differs; what the newer adds does
// not.
func TestCompareQuestions(t *testing.T) {
	c := Compare(Answers{"gone": "1", "kept": "2"}, Answers{"kept": "2", "new": "3"})
	want := Comparison{Same: 1, Different: []string{"gone: the newer version was not asked, or has no such thing"}, Added: []string{"new"}}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestChangedMeaning: fields whose meaning was changed on purpose are not compared, others
// of the same answers are.
func TestChangedMeaning(t *testing.T) {
	const question = "/api/v1/summary?set=channel"
	was := Answers{question: "200\n" + `{"outputs":4,"observations":15}`}
	if c := Compare(was, Answers{question: "200\n" + `{"outputs":4,"observations":2}`}); len(c.Different) > 0 {
		t.Errorf("%q", c.Different)
	}
	if c := Compare(was, Answers{question: "200\n" + `{"outputs":3,"observations":2}`}); len(c.Different) != 1 {
		t.Errorf("another number of outputs: %q", c.Different)
	}
	const builder = "/api/v1/builders/abc"
	counted := Answers{builder: "200\n" + `{"outputs":4,"recent":[{"counts":true,"output":"a"},{"counts":true,"output":"b"}]}`}
	if c := Compare(counted, Answers{builder: "200\n" + `{"outputs":4,"recent":[{"counts":false,"output":"a"},{"counts":true,"output":"b"}]}`}); len(c.Different) > 0 {
		t.Errorf("%q", c.Different)
	}
	if c := Compare(counted, Answers{builder: "200\n" + `{"outputs":4,"recent":[{"counts":true,"output":"a"},{"counts":true,"output":"c"}]}`}); len(c.Different) != 1 {
		t.Errorf("another output: %q", c.Different)
	}
}
