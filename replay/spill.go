package replay

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"repronet.dev/attestation"
	"repronet.dev/divergence"
)

// An op is what one entry says of one output.
type op struct {
	id       attestation.OutputID
	index    uint64
	kind     opKind
	builder  uint32
	digest   attestation.Digest
	inputs   divergence.InputsKey
	signedAt uint64
}

type opKind uint8

const (
	add          opKind = iota
	addDocument         // by a signed document
	addAmbiguous        // by one that lists the output with several digests
	withdraw
	member // of the package set that the entry publishes
)

const opSize = 20 + 8 + 1 + 4 + 32 + 8 + 8

func (o *op) append(buf []byte) []byte {
	buf = append(buf, o.id[:]...)
	buf = binary.BigEndian.AppendUint64(buf, o.index)
	buf = append(buf, byte(o.kind))
	buf = binary.BigEndian.AppendUint32(buf, o.builder)
	buf = append(buf, o.digest[:]...)
	buf = binary.BigEndian.AppendUint64(buf, uint64(o.inputs))
	return binary.BigEndian.AppendUint64(buf, o.signedAt)
}

func decodeOp(data []byte) op {
	return op{
		id: attestation.OutputID(data[:20]), index: binary.BigEndian.Uint64(data[20:]), kind: opKind(data[28]),
		builder: binary.BigEndian.Uint32(data[29:]), digest: attestation.Digest(data[33:65]),
		inputs: divergence.InputsKey(binary.BigEndian.Uint64(data[65:])), signedAt: binary.BigEndian.Uint64(data[73:]),
	}
}

// Partitions is how many files the outputs are spread over, by the first byte of
// their IDs.
const Partitions = 256

// A Spill holds what is said of outputs, in the order in which it was written, in a
// file for each of [Partitions], which vanish with the process.
type Spill struct {
	files   [Partitions]*os.File
	writers [Partitions]*bufio.Writer
}

// NewSpill returns an empty one with its files in a directory.
func NewSpill(dir string) (s *Spill, err error) {
	s = &Spill{}
	for i := range s.files {
		f, err := vanishing(dir)
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		s.files[i], s.writers[i] = f, bufio.NewWriterSize(f, 1<<15)
	}
	return s, nil
}

// Write appends to a partition.
func (s *Spill) Write(partition int, ops []byte) error {
	if len(ops) == 0 {
		return nil
	}
	_, err := s.writers[partition].Write(ops)
	return err
}

// Bytes returns what was written to a partition.
func (s *Spill) Bytes(partition int) ([]byte, error) {
	if err := s.writers[partition].Flush(); err != nil {
		return nil, err
	}
	size, err := s.files[partition].Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	data := make([]byte, size)
	if _, err := s.files[partition].ReadAt(data, 0); err != nil && size > 0 {
		return nil, fmt.Errorf("reading back what was set aside: %w", err)
	}
	return data, nil
}

// vanishing makes a file that vanishes with the process.
func vanishing(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "replay-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Close gives the files up.
func (s *Spill) Close() error {
	if s == nil {
		return nil
	}
	var all []error
	for _, f := range s.files {
		if f != nil {
			all = append(all, f.Close())
		}
	}
	return errors.Join(all...)
}
