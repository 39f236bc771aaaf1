package store

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"repronet.dev/divergence"
)

// Before migration 4, a table states held the claims on each output and its
// verdict in one value. What else is judged of an output depends on who counts,
// which package index knows: it moves the rows (see there), and while the table
// is there, verdicts is not complete.

// Unfilled reports whether verdicts has still to be filled from states.
func (t *Tables) Unfilled(ctx context.Context) (bool, error) {
	return t.there(ctx, "states")
}

// there reports whether a table is there that says by that what is still to be done.
func (t *Tables) there(ctx context.Context, table string) (bool, error) {
	var n uint64
	err := t.conn.QueryRow(ctx, `SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = {table:String}`,
		clickhouse.Named("table", table)).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("looking for what an earlier version left: %w", err)
	}
	return n > 0, nil
}

// Fill replaces what verdicts holds by the given states, which are those of
// [Tables.OldStates] completed, and removes the others. It writes part of them at
// a time; if it is interrupted, it has to begin again.
func (t *Tables) Fill(ctx context.Context, states iter.Seq2[*State, error]) error {
	if err := t.conn.Exec(ctx, `TRUNCATE TABLE verdicts`); err != nil {
		return fmt.Errorf("filling in verdicts: %w", err)
	}
	const atOnce = 65_536
	rows := make([]State, 0, atOnce)
	for s, err := range states {
		if err != nil {
			return err
		}
		if rows = append(rows, *s); len(rows) < atOnce {
			continue
		}
		if err := insert(ctx, t.conn, "verdicts", stateColumns(), rows); err != nil {
			return err
		}
		rows = rows[:0]
	}
	if err := insert(ctx, t.conn, "verdicts", stateColumns(), rows); err != nil {
		return err
	}
	if err := t.conn.Exec(ctx, `DROP TABLE states SYNC`); err != nil {
		return fmt.Errorf("filling in verdicts: %w", err)
	}
	return nil
}

// OldStates yields the states of an earlier version, each once. Of what is judged
// they have only the verdict.
func (t *Tables) OldStates(ctx context.Context) iter.Seq2[*State, error] {
	return scan(ctx, t.conn, readOldState, `SELECT hash, rest, version, output, state FROM states FINAL`)
}

func readOldState(rows driver.Rows) (*State, error) {
	s := &State{}
	var hash uint64
	var rest, state []byte
	if err := rows.Scan(&hash, &rest, &s.Version, &s.Output, &state); err != nil {
		return nil, err
	}
	s.identify(hash, rest)
	return s, s.decodeOld(state)
}

// decodeOld reads what the column state held:
//
//	verdict (1 byte) | only if diverged: previous (1 byte), since (uvarint) | claims
func (s *State) decodeOld(data []byte) error {
	if len(data) == 0 || data[0] > byte(divergence.Diverged) {
		return ErrState
	}
	s.Verdict, data = divergence.Verdict(data[0]), data[1:]
	if s.Verdict == divergence.Diverged {
		if len(data) == 0 {
			return ErrState
		}
		_, n := binary.Uvarint(data[1:])
		if n <= 0 {
			return ErrState
		}
		data = data[1+n:]
	}
	return s.decodeClaims(data)
}

// AllChanges yields every change of a verdict, in no particular order and perhaps
// more than once.
func (t *Tables) AllChanges(ctx context.Context) iter.Seq2[Change, error] {
	return scan(ctx, t.conn, readChange, `SELECT output, log_index, old, new FROM verdict_changes`)
}
