// Package notify tells those who asked for it when verdicts change: by a webhook, or by
// mail; at once, or once a day.
//
// # Model
//
// A subscription (package state) says which changes are wanted and where they go. It has a
// cursor, the ledger index up to which it was told. [Notifier.Look], a periodic job, reads what
// changed since in the index, once for all subscriptions, and keeps one message for each that
// waits for it. [Notifier.Run] delivers messages. A message is kept, with its ID and its
// words, before it is sent for the first time, and the cursor moves in the same write that
// forgets the message, after it was delivered: whenever the process ends, nothing is lost,
// and what is told twice is told under the same ID. The cursor is a ledger index, so an index
// that was made anew tells nothing again. A subscription begins at its creation and never
// hears of the past.
//
// What cannot be delivered is tried for about a day, ever more rarely; then the subscription
// is said to be failing, and is tried each ten hours. Meanwhile its changes wait: they come in
// one message with the next.
//
// # Trust
//
// Operators add subscriptions. Whom a webhook's address leads to is decided by others: no
// request goes to a private network, which is checked of the address that is dialled, no
// redirect is followed, and time and answer are bounded. A mail address is told nothing until a
// link in its first mail was followed and its button pressed; each mail has a link that
// ends the subscription. Names in changes are written by strangers: mails have them without
// control characters, and bounded.
package notify
