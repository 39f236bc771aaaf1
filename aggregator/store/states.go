package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"repronet/attestation"
	"repronet/divergence"
)

// append encodes what the column state holds:
//
//	verdict (1 byte) | only if diverged: previous (1 byte), since (uvarint) | claims
func (s *State) append(buf []byte) []byte {
	buf = append(buf, byte(s.Verdict))
	if s.Verdict == divergence.Diverged {
		buf = append(buf, byte(s.Previous))
		buf = binary.AppendUvarint(buf, s.Since)
	}
	return s.Claims.Append(buf)
}

var errState = errors.New("the state of an output is malformed: reindex")

func (s *State) decode(data []byte) error {
	if len(data) == 0 || data[0] > byte(divergence.Diverged) {
		return errState
	}
	s.Verdict, data = divergence.Verdict(data[0]), data[1:]
	if s.Verdict == divergence.Diverged {
		if len(data) == 0 || data[0] > byte(divergence.Diverged) {
			return errState
		}
		since, n := binary.Uvarint(data[1:])
		if n <= 0 {
			return errState
		}
		s.Previous, s.Since, data = divergence.Verdict(data[0]), since, data[1+n:]
	}
	claims, err := divergence.DecodeOutput(data)
	if err != nil {
		return fmt.Errorf("%w: %w", errState, err)
	}
	s.Claims = *claims
	return nil
}

const stateFields = `hash, rest, version, output, state`

func readState(rows driver.Rows) (*State, error) {
	s := &State{}
	var hash uint64
	var rest, state []byte
	if err := rows.Scan(&hash, &rest, &s.Version, &s.Output, &state); err != nil {
		return nil, err
	}
	binary.BigEndian.PutUint64(s.ID[:8], hash)
	copy(s.ID[8:], rest)
	return s, s.decode(state)
}

// Touched returns the states of the outputs that a batch touches, those that
// have one, and perhaps others. Only the index calls it.
func (t *Tables) Touched(ctx context.Context, ids []attestation.OutputID) (map[attestation.OutputID]*State, error) {
	if err := t.conn.Exec(ctx, `TRUNCATE TABLE touched`); err != nil {
		return nil, fmt.Errorf("reading states: %w", err)
	}
	columns := []column[attestation.OutputID]{
		col("hash", "UInt64", func(r *attestation.OutputID) uint64 { return Short(r[:]) }),
	}
	if err := insert(ctx, t.conn, "touched", columns, ids); err != nil {
		return nil, err
	}
	return newest(len(ids), scan(ctx, t.conn, readState,
		`SELECT `+stateFields+` FROM states WHERE hash IN (SELECT hash FROM touched)`))
}

// newest keeps the row of the greatest version of each output.
func newest(n int, rows iter.Seq2[*State, error]) (map[attestation.OutputID]*State, error) {
	states := make(map[attestation.OutputID]*State, n)
	for s, err := range rows {
		if err != nil {
			return nil, fmt.Errorf("reading states: %w", err)
		}
		if other, ok := states[s.ID]; !ok || other.Version < s.Version {
			states[s.ID] = s
		}
	}
	return states, nil
}

// States returns the states of a few outputs, those that have one, and perhaps
// others.
func (t *Tables) States(ctx context.Context, ids []attestation.OutputID) (map[attestation.OutputID]*State, error) {
	hashes := make([]uint64, len(ids))
	for i, id := range ids {
		hashes[i] = Short(id[:])
	}
	return newest(len(ids), scan(ctx, t.conn, readState,
		`SELECT `+stateFields+` FROM states WHERE hash IN {hashes:Array(UInt64)}`, clickhouse.Named("hashes", hashes)))
}

// StatesOfBuilder yields the states of all outputs that a builder ever claimed,
// each once.
func (t *Tables) StatesOfBuilder(ctx context.Context, builder uint32) iter.Seq2[*State, error] {
	return scan(ctx, t.conn, readState,
		`SELECT `+stateFields+` FROM states FINAL
		WHERE output IN (SELECT output FROM observations WHERE builder = {builder:UInt32})`,
		clickhouse.Named("builder", builder))
}

// AllStates yields the states of all outputs, each once.
func (t *Tables) AllStates(ctx context.Context) iter.Seq2[*State, error] {
	return scan(ctx, t.conn, readState, `SELECT `+stateFields+` FROM states FINAL`)
}
