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

func readState(rows driver.Rows) (*State, error) {
	s := &State{}
	var id, state []byte
	if err := rows.Scan(&id, &s.Version, &s.Output, &state); err != nil {
		return nil, err
	}
	s.ID = attestation.OutputID(id)
	return s, s.decode(state)
}

// Touched returns the states of the outputs that a batch touches, those that
// have one. Only the index calls it.
func (t *Tables) Touched(ctx context.Context, ids []attestation.OutputID) (map[attestation.OutputID]*State, error) {
	if err := t.conn.Exec(ctx, `TRUNCATE TABLE touched`); err != nil {
		return nil, fmt.Errorf("reading states: %w", err)
	}
	columns := []column[attestation.OutputID]{
		col("id", "FixedString(20)", func(r *attestation.OutputID) []byte { return r[:] }),
	}
	if err := insert(ctx, t.conn, "touched", columns, ids); err != nil {
		return nil, err
	}
	return newest(len(ids), scan(ctx, t.conn, readState,
		`SELECT id, version, output, state FROM states WHERE id IN (SELECT id FROM touched)`))
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

// States returns the states of a few outputs, those that have one.
func (t *Tables) States(ctx context.Context, ids []attestation.OutputID) (map[attestation.OutputID]*State, error) {
	return newest(len(ids), scan(ctx, t.conn, readState,
		`SELECT id, version, output, state FROM states WHERE id IN (SELECT toFixedString(unhex(arrayJoin({ids:Array(String)})), 20))`,
		clickhouse.Named("ids", hexes(ids))))
}

func hexes(ids []attestation.OutputID) []string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = fmt.Sprintf("%x", id[:])
	}
	return texts
}

// StatesOfBuilder yields the states of all outputs that a builder ever claimed,
// each once.
func (t *Tables) StatesOfBuilder(ctx context.Context, builder uint32) iter.Seq2[*State, error] {
	return scan(ctx, t.conn, readState,
		`SELECT id, version, output, state FROM states FINAL
		WHERE output IN (SELECT output FROM observations WHERE builder = {builder:UInt32})`,
		clickhouse.Named("builder", builder))
}

// AllStates yields the states of all outputs, each once.
func (t *Tables) AllStates(ctx context.Context) iter.Seq2[*State, error] {
	return scan(ctx, t.conn, readState, `SELECT id, version, output, state FROM states FINAL`)
}
