package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/api"
	"repronet.dev/evidence/openpgp"
	"repronet.dev/internal/cli"
	"repronet.dev/ledger"
	"repronet.dev/reporter/relay"
)

func rowsOf(text string) *openpgp.Rows {
	rows := openpgp.ParseRows("demo", []byte(text))
	return &rows
}

// TestAccounts: every document, row and file is in exactly one of the sums.
func TestAccounts(t *testing.T) {
	hex := strings.Repeat("ab", 32)
	row := hex + "  x\n"
	s := newAccounts("files")
	s.note(relay.Other{Path: "k.gpg", Key: true})
	s.note(relay.Other{Path: "a.asc", Signature: true})
	s.note(relay.Other{Path: "README", Reason: "is not signed"})
	s.note(relay.Other{Path: "NEWS", Reason: "is not signed"})
	receipt := &ledger.Receipt{}
	s.add(&relay.Document{Name: "a", Rows: rowsOf(row + "hello\n" + hex + "  y\n" + strings.Repeat("cd", 32) + "  y\n")}, &relay.Answer{State: "valid", Receipt: receipt})
	s.add(&relay.Document{Name: "a", Rows: rowsOf(row)}, &relay.Answer{State: "valid", Receipt: receipt, Duplicate: true}) // a second signature of one file
	s.add(&relay.Document{Name: "b", Rows: rowsOf(row)}, &relay.Answer{State: "weak", Reason: "weak: SHA-1", Receipt: receipt})
	s.add(&relay.Document{Name: "c", Rows: rowsOf("hello\n")}, &relay.Answer{Err: &relay.Refusal{Err: errors.New("it has no rows")}})
	s.add(&relay.Document{Name: "d"}, &relay.Answer{Err: errors.New("is larger than 5 bytes")})
	s.add(&relay.Document{Name: "e", Rows: rowsOf(row)}, &relay.Answer{Problem: &api.Problem{Status: 429, Detail: "later"}})

	if s.String() != "6 documents: 2 accepted, 1 kept and not counted, 2 refused, 1 failed" {
		t.Error(s)
	}
	if diff := cmp.Diff(rowAccounts{Total: 8, Judged: 2, Ambiguous: 2, Unread: 2, NotCounted: 2}, s.Rows); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(fileAccounts{Total: 9, Documents: 5, Signatures: 1, Keys: 1, Others: 2}, s.Files); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if exit, ok := errors.AsType[*cli.ExitError](s.outcome()); !ok || exit.Status != cli.Failure {
		t.Errorf("outcome %v", s.outcome())
	}
	var stdout, stderr bytes.Buffer
	env := &cli.Env{Stdout: &stdout, Stderr: &stderr}
	if err := s.print(env, false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"  1 kept: weak: SHA-1 (\"b\")\n", "8 rows: 2 judged, 2 ambiguous, 2 not readable, 2 of documents that do not count\n",
		"9 files: 5 with documents, 1 signatures, 1 keys, 2 others\n", "  2 no documents: is not signed (\"README\", …)\n",
	} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("standard output lacks %q:\n%s", want, stdout.String())
		}
	}
	for _, want := range []string{`not read: 1 rows of "a"; the first, in line 2: `, `refused "c": it has no rows`, `failed "d": is larger than 5 bytes`, `refused "e": later`} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("standard error lacks %q:\n%s", want, stderr.String())
		}
	}
	stdout.Reset()
	if err := s.print(env, true); err != nil {
		t.Fatal(err)
	}
	var again accounts
	if err := json.Unmarshal(stdout.Bytes(), &again); err != nil || again.Rows != s.Rows || again.Files != s.Files || len(again.Others) != 2 || len(again.Unread) != 2 {
		t.Errorf("%v: %s", err, stdout.String())
	}
}

func TestOutcomes(t *testing.T) {
	receipt := &ledger.Receipt{}
	row := rowsOf(strings.Repeat("ab", 32) + "  x\n")
	for name, test := range map[string]struct {
		add    func(*accounts)
		status int
		want   string
	}{
		"nothing":           {func(*accounts) {}, cli.Failure, "no document was found among 0 files: looked for files"},
		"only another file": {func(s *accounts) { s.note(relay.Other{Path: "x", Reason: "y"}) }, cli.Failure, "among 1 files"},
		"no row": {func(s *accounts) {
			s.add(&relay.Document{Rows: rowsOf("hello\n")}, &relay.Answer{Err: &relay.Refusal{Err: errors.New("x")}})
		}, cli.Failure, "no row was read in any of 1 documents"},
		"accepted": {func(s *accounts) { s.add(&relay.Document{Rows: row}, &relay.Answer{Receipt: receipt}) }, cli.OK, ""},
		"kept":     {func(s *accounts) { s.add(&relay.Document{Rows: row}, &relay.Answer{Receipt: receipt, Reason: "x"}) }, cli.OK, ""},
		"narinfo":  {func(s *accounts) { s.add(&relay.Document{}, &relay.Answer{Receipt: receipt}) }, cli.OK, ""},
		"to be sent later": {func(s *accounts) {
			s.add(&relay.Document{Rows: row}, &relay.Answer{Problem: &api.Problem{Status: 429}})
		}, exitTryLater, ""},
		"refused for good": {func(s *accounts) {
			s.add(&relay.Document{Rows: row}, &relay.Answer{Problem: &api.Problem{Status: 400}})
		}, cli.Failure, ""},
		"could not be read": {func(s *accounts) { s.add(&relay.Document{}, &relay.Answer{Err: errors.New("x")}) }, cli.Failure, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newAccounts("files")
			test.add(s)
			err := s.outcome()
			status := cli.OK
			if err != nil {
				status = cli.Failure
			}
			if exit, ok := errors.AsType[*cli.ExitError](err); ok {
				status = exit.Status
			}
			if status != test.status || test.want != "" && !strings.Contains(err.Error(), test.want) {
				t.Errorf("status %d, %v", status, err)
			}
		})
	}
}
