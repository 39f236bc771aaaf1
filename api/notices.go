package api

import "time"

// A Notice is what a subscriber is told: the body of a webhook (Standard Webhooks, whose
// header webhook-id is the message's ID), of which a mail is made as well.
type Notice struct {
	Type      NoticeType `json:"type"`
	Timestamp time.Time  `json:"timestamp"` // when the notice was made
	Data      NoticeData `json:"data"`
}

// A NoticeType says what a notice is about.
type NoticeType string

// The types of notices.
const (
	NoticeChanges NoticeType = "repronet.changes" // of verdicts
	NoticeTest    NoticeType = "repronet.test"    // that notices arrive; it has no changes
)

// NoticeData are changes of verdicts by the ledger entries From ≤ index < To.
type NoticeData struct {
	Subscription string `json:"subscription"` // its ID
	// Of these, one says what the subscription is of; without any, it is of everything.
	Set        string `json:"set,omitempty"`
	Package    string `json:"package,omitempty"`
	Maintainer string `json:"maintainer,omitempty"`

	From uint64 `json:"from"`
	To   uint64 `json:"to"`
	// Changes are at most 100: regressions first, then divergences, then the others, each in
	// ledger order. More says how many others there were.
	Changes []VerdictChange `json:"changes"`
	More    int             `json:"more"`
	// URL leads to what is known of these outputs now; empty if the server's address is not known.
	URL string `json:"url,omitempty"`
}
