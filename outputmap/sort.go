package outputmap

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"

	"repronet.dev/attestation"
)

// A Sorter puts any number of pairs into the order of a map, within 32 MiB and a
// few more for each 100 million pairs; what does not fit is in a temporary file,
// 28 bytes a pair, which vanishes with the process. It is used from one goroutine.
type Sorter struct {
	dir    string
	memory int // pairs that are held in memory
	pairs  []Pair
	spill  *os.File
	ends   []int64 // of the sorted runs in spill
}

// NewSorter returns a Sorter whose temporary file is in dir. Close it.
func NewSorter(dir string) *Sorter { return &Sorter{dir: dir, memory: 1 << 20} }

// Add takes in that an entry is about these keys, see [Keys].
func (s *Sorter) Add(index uint64, keys ...attestation.OutputID) error {
	if s.pairs == nil {
		s.pairs = make([]Pair, 0, s.memory)
	}
	for _, key := range keys {
		if len(s.pairs) == s.memory {
			if err := s.flush(); err != nil {
				return fmt.Errorf("sorting: %w", err)
			}
		}
		s.pairs = append(s.pairs, Pair{key, index})
	}
	return nil
}

const pairSize = keySize + 8

// flush moves the pairs in memory to the file, as a sorted run.
func (s *Sorter) flush() (err error) {
	if s.spill == nil {
		if s.spill, err = os.CreateTemp(s.dir, "sort-*"); err != nil {
			return err
		}
		if err := os.Remove(s.spill.Name()); err != nil {
			return err
		}
	}
	s.sort()
	w := bufio.NewWriterSize(s.spill, 1<<16)
	var record [pairSize]byte
	for _, p := range s.pairs {
		copy(record[:], p.Key[:])
		binary.BigEndian.PutUint64(record[keySize:], p.Index)
		if _, err := w.Write(record[:]); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	end := int64(len(s.pairs) * pairSize)
	if len(s.ends) > 0 {
		end += s.ends[len(s.ends)-1]
	}
	s.ends = append(s.ends, end)
	s.pairs = s.pairs[:0]
	return nil
}

func (s *Sorter) sort() { slices.SortFunc(s.pairs, comparePairs) }

func comparePairs(a, b Pair) int {
	// The first bytes nearly always decide, and are compared much faster so.
	if x, y := binary.BigEndian.Uint64(a.Key[:]), binary.BigEndian.Uint64(b.Key[:]); x != y {
		return cmp.Compare(x, y)
	}
	if order := compareKeys(a.Key, b.Key); order != 0 {
		return order
	}
	return cmp.Compare(a.Index, b.Index)
}

// Pairs yields what was added and what older holds, in the order of a map. older
// is the map of the entries before those that were added, nil if these are all.
// Nothing is added while it yields.
func (s *Sorter) Pairs(older *Snapshot) iter.Seq2[Pair, error] {
	return func(yield func(Pair, error) bool) {
		runs, err := s.runs()
		if err != nil {
			yield(Pair{}, fmt.Errorf("sorting: %w", err))
			return
		}
		if older != nil {
			runs = append(runs, older.cursor())
		}
		merge(runs, yield)
	}
}

func (s *Sorter) runs() ([]cursor, error) {
	if s.spill == nil {
		s.sort()
		rest := s.pairs
		return []cursor{func() (Pair, error) {
			if len(rest) == 0 {
				return Pair{}, io.EOF
			}
			first := rest[0]
			rest = rest[1:]
			return first, nil
		}}, nil
	}
	if len(s.pairs) > 0 {
		if err := s.flush(); err != nil {
			return nil, err
		}
	}
	s.pairs = nil
	var runs []cursor
	start := int64(0)
	for _, end := range s.ends {
		runs = append(runs, readRun(io.NewSectionReader(s.spill, start, end-start)))
		start = end
	}
	return runs, nil
}

// Close removes the temporary file.
func (s *Sorter) Close() error {
	s.pairs = nil
	if s.spill == nil {
		return nil
	}
	return s.spill.Close()
}

// A cursor returns sorted pairs one by one, then io.EOF.
type cursor func() (Pair, error)

func readRun(section *io.SectionReader) cursor {
	r := bufio.NewReaderSize(section, 1<<16)
	var record [pairSize]byte
	return func() (Pair, error) {
		if _, err := io.ReadFull(r, record[:]); err != nil {
			return Pair{}, err
		}
		return Pair{attestation.OutputID(record[:keySize]), binary.BigEndian.Uint64(record[keySize:])}, nil
	}
}

// A head is a run and its first pair.
type head struct {
	pair Pair
	next cursor
}

// merge yields the pairs of sorted runs in order.
func merge(runs []cursor, yield func(Pair, error) bool) {
	var heap []head // the least first
	for _, next := range runs {
		switch pair, err := next(); {
		case errors.Is(err, io.EOF):
		case err != nil:
			yield(Pair{}, err)
			return
		default:
			heap = append(heap, head{pair, next})
		}
	}
	slices.SortFunc(heap, func(a, b head) int { return comparePairs(a.pair, b.pair) })
	for len(heap) > 0 {
		if !yield(heap[0].pair, nil) {
			return
		}
		pair, err := heap[0].next()
		switch {
		case errors.Is(err, io.EOF):
			heap[0] = heap[len(heap)-1]
			heap = heap[:len(heap)-1]
		case err != nil:
			yield(Pair{}, err)
			return
		default:
			heap[0].pair = pair
		}
		sink(heap)
	}
}

// sink moves the first of a heap to its place.
func sink(heap []head) {
	for i := 0; ; {
		least := 2*i + 1
		if least >= len(heap) {
			return
		}
		if right := least + 1; right < len(heap) && comparePairs(heap[right].pair, heap[least].pair) < 0 {
			least = right
		}
		if comparePairs(heap[i].pair, heap[least].pair) <= 0 {
			return
		}
		heap[i], heap[least] = heap[least], heap[i]
		i = least
	}
}
