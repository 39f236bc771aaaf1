package wire

import (
	"repronet/ledger"
	"repronet/signing/keys"
)

// EnrolmentsPath takes requests to be enrolled (POST, package enrolment/request)
// and tells under a builder's ID what became of its request (GET).
const EnrolmentsPath = "/api/v1/enrolments"

// EnrolmentState says what became of a request to be enrolled.
type EnrolmentState string

// The states of a request.
const (
	Pending  EnrolmentState = "pending"  // a person decides
	Enrolled EnrolmentState = "enrolled" // the builder's statements are accepted
	Refused  EnrolmentState = "refused"  // by a person, or the key was revoked
)

// An Enrolment is the answer to a request to be enrolled.
type Enrolment struct {
	Builder keys.BuilderID `json:"builder"`
	State   EnrolmentState `json:"state"`
	// Next is a sentence for the person who asked: what happens next.
	Next string `json:"next"`
	// Operator, Tier and Receipt are there once it is enrolled; the receipt is
	// for the builder's first enrolment.
	Operator string          `json:"operator,omitempty"`
	Tier     string          `json:"tier,omitempty"`
	Receipt  *ledger.Receipt `json:"receipt,omitempty"`
}
