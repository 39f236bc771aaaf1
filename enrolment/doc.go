// Package enrolment is about who counts: the ledger entries by which builders
// are enrolled and revoked, and their fold, the [Roster].
//
// A builder is a key; an operator is the party behind one or more builders.
// Independence is counted in operators. An operator of tier "counted" is vouched
// for by an entry and moves verdicts; one of tier "open" is kept and shown only.
//
// The package is pure. Who may write these entries is the aggregator's subject;
// that they are in the ledger is what everybody can check.
package enrolment
