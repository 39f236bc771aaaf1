package api_test

import (
	"encoding"
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/go-json-experiment/json"

	"repronet.dev/api"
	"repronet.dev/divergence"
)

// TestValues: each value is written and read as itself, and no other is.
func TestValues(t *testing.T) {
	for _, c := range []struct {
		read     encoding.TextUnmarshaler
		values   []string
		optional bool
	}{
		{new(api.Verdict), api.Verdict("").Values(), false},
		{new(api.Shape), api.Shape("").Values(), true},
		{new(api.Side), api.Side("").Values(), true},
		{new(api.Tier), api.Tier("").Values(), true},
		{new(api.Standing), api.Standing("").Values(), true},
		{new(api.Flag), api.Flag("").Values(), false},
		{new(api.Reason), api.Reason("").Values(), false},
		{new(api.ChangeKind), api.ChangeKind("").Values(), false},
		{new(api.LookupState), api.LookupState("").Values(), false},
		{new(api.KeyKind), api.KeyKind("").Values(), true},
		{new(api.EnrolmentState), api.EnrolmentState("").Values(), false},
	} {
		if len(c.values) < 2 || slices.Contains(c.values, "") {
			t.Errorf("%T has the values %q", c.read, c.values)
		}
		for _, value := range c.values {
			if err := c.read.UnmarshalText([]byte(value)); err != nil {
				t.Error(err)
			}
			text, err := written(c.read).MarshalText()
			if string(text) != value || err != nil {
				t.Errorf("%T %q is written as %q, %v", c.read, value, text, err)
			}
		}
		if err := c.read.UnmarshalText([]byte("future")); !errors.Is(err, api.ErrUnknownValue) {
			t.Errorf("%T reads an unknown value: %v", c.read, err)
		}
		if err := c.read.UnmarshalText(nil); (err == nil) != c.optional {
			t.Errorf("%T reads nothing: %v", c.read, err)
		}
		other := reflect.ValueOf(c.read).Elem()
		other.SetString("future")
		if _, err := other.Interface().(encoding.TextMarshaler).MarshalText(); !errors.Is(err, api.ErrUnknownValue) {
			t.Errorf("%T writes an unknown value: %v", c.read, err)
		}
	}
}

func written(pointer any) encoding.TextMarshaler {
	return reflect.ValueOf(pointer).Elem().Interface().(encoding.TextMarshaler)
}

// TestNames: the constants are what package divergence calls its values.
func TestNames(t *testing.T) {
	for got, want := range map[string]string{
		string(api.NewVerdict(divergence.Unbuilt)): string(api.Unbuilt), string(api.NewVerdict(divergence.Single)): string(api.Single),
		string(api.NewVerdict(divergence.Reproduced)): string(api.Reproduced), string(api.NewVerdict(divergence.Diverged)): string(api.Diverged),
		string(api.NewShape(divergence.NoShape)): "", string(api.NewShape(divergence.Self)): string(api.Self),
		string(api.NewShape(divergence.Scatter)): string(api.Scatter), string(api.NewShape(divergence.Outlier)): string(api.Outlier),
		string(api.NewShape(divergence.Split)): string(api.Split), string(api.NewSide(divergence.Own)): string(api.Own),
		string(api.NewSide(divergence.Inherited)): string(api.Inherited), string(api.NewSide(divergence.UnknownCause)): string(api.UnknownSide),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestUnknownVerdict: nothing is made of a document that an older program cannot
// understand.
func TestUnknownVerdict(t *testing.T) {
	var row api.OutputRow
	err := json.Unmarshal([]byte(`{"key":"a","verdict":"contested"}`), &row)
	if !errors.Is(err, api.ErrUnknownValue) {
		t.Errorf("%v, want one about the value", err)
	}
	if err := json.Unmarshal([]byte(`{"key":"a","verdict":"single","confidence":1}`), &row); err != nil || row.Verdict != api.Single {
		t.Errorf("a member that was added: %v", err)
	}
}

func TestProblemKinds(t *testing.T) {
	seen := map[api.ProblemKind]bool{}
	for _, kind := range api.ProblemKinds() {
		p := api.NewProblem(kind.Kind, "x")
		if seen[kind.Kind] || kind.Status < 400 || kind.Means == "" || kind.Do == "" || p.Status != kind.Status || p.Kind() != kind.Kind || p.Title == "" {
			t.Errorf("%+v makes %+v", kind, p)
		}
		seen[kind.Kind] = true
	}
	if p := api.NewProblem("nonsense", "x"); p.Status != 500 {
		t.Errorf("an unknown kind has status %d", p.Status)
	}
}
