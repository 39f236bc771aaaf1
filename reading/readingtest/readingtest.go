// Package readingtest has entries of ledgers for the tests of those that read them.
package readingtest

import (
	"fmt"

	"repronet.dev/ledger"
	"repronet.dev/reading"
)

// NewerRules begins the version of the rules after the newest that this program knows.
func NewerRules() *ledger.Entry {
	return &ledger.Entry{Kind: ledger.Rules, Body: fmt.Appendf(nil, `{"version":%d}`, reading.Newest+1)}
}

// Newer returns entries that only a newer program can read, by what is newer.
func Newer() map[string]*ledger.Entry {
	return map[string]*ledger.Entry{
		"rules":        NewerRules(),
		"unknown kind": {Kind: "from-the-future", Body: []byte("anything")},
	}
}
