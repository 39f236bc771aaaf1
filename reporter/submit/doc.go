// Package submit brings signed statements to an aggregator and believes only
// what it can check: an answer counts as an acknowledgement when its receipt
// proves, under the log key that was pinned, that the log contains this
// builder's statement. Whatever else comes back, the statement is still to be
// delivered.
package submit
