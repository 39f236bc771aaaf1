package snapshot

import (
	"encoding/binary"

	"repronet.dev/attestation"
)

// A fact is what one entry says of one output, build or environment, set aside until all
// facts of the same ID can be written together.
type fact struct {
	id        attestation.OutputID // of the environment's or build's name where it is no output's
	kind      factKind
	index     uint64
	ecosystem string
	// key is the output's, or the build's or environment's; empty where it was written
	// with an earlier fact of the same ID.
	key     string
	build   string // the recipe, likewise; empty where the entry names none
	builder uint32

	digest, inputs     attestation.Digest
	environment        string
	finished, signed   Time
	occasion           string
	digestKind         string
	document           bool
	ambiguous, fixed   bool
	text               string // reason of a failure, attribute of a member
	version, system    string
	maintainers, edges []string
}

type factKind byte

const (
	observed    factKind = iota
	withdrawn            // by its builder
	failed               // to build
	member               // of the package set that the entry publishes
	environment          // of a statement
	named                // an output whose rows of this month are in an earlier snapshot
)

// append appends the binary form: the length of the rest, and the fields that the kind
// has, strings after their lengths.
func (f *fact) append(buf []byte) []byte {
	start := len(buf)
	buf = append(buf, 0, 0, 0, 0)
	buf = append(buf, f.id[:]...)
	buf = append(buf, byte(f.kind), flags(f.document, f.ambiguous, f.fixed, !f.digest.IsZero(), !f.inputs.IsZero()))
	buf = binary.AppendUvarint(buf, f.index)
	buf = appendString(buf, f.ecosystem)
	buf = appendString(buf, f.key)
	buf = appendString(buf, f.build)
	buf = binary.AppendUvarint(buf, uint64(f.builder))
	if !f.digest.IsZero() {
		buf = append(buf, f.digest[:]...)
	}
	if !f.inputs.IsZero() {
		buf = append(buf, f.inputs[:]...)
	}
	buf = binary.AppendVarint(buf, int64(f.finished))
	buf = binary.AppendVarint(buf, int64(f.signed))
	for _, s := range []string{f.environment, f.occasion, f.digestKind, f.text, f.version, f.system} {
		buf = appendString(buf, s)
	}
	for _, list := range [][]string{f.maintainers, f.edges} {
		buf = binary.AppendUvarint(buf, uint64(len(list)))
		for _, s := range list {
			buf = appendString(buf, s)
		}
	}
	binary.BigEndian.PutUint32(buf[start:], uint32(len(buf)-start-4))
	return buf
}

func appendString(buf []byte, s string) []byte {
	return append(binary.AppendUvarint(buf, uint64(len(s))), s...)
}

func flags(set ...bool) (b byte) {
	for i, is := range set {
		if is {
			b |= 1 << i
		}
	}
	return b
}

// size returns how long the fact at the front of data is.
func size(data []byte) int { return 4 + int(binary.BigEndian.Uint32(data)) }

// idAt returns the ID of the fact at the front of data.
func idAt(data []byte) attestation.OutputID { return attestation.OutputID(data[4:24]) }

// decode reads what [fact.append] wrote, in this process: what is not so is a mistake of
// the program, and panics.
func decode(data []byte) (f fact) {
	d := decoder{data[4:]}
	f.id = attestation.OutputID(d.bytes(20))
	f.kind = factKind(d.bytes(1)[0])
	set := d.bytes(1)[0]
	f.document, f.ambiguous, f.fixed = set&1 != 0, set&2 != 0, set&4 != 0
	f.index = d.uvarint()
	f.ecosystem, f.key, f.build = d.string(), d.string(), d.string()
	f.builder = uint32(d.uvarint())
	if set&8 != 0 {
		f.digest = attestation.Digest(d.bytes(32))
	}
	if set&16 != 0 {
		f.inputs = attestation.Digest(d.bytes(32))
	}
	f.finished, f.signed = Time(d.varint()), Time(d.varint())
	for _, s := range []*string{&f.environment, &f.occasion, &f.digestKind, &f.text, &f.version, &f.system} {
		*s = d.string()
	}
	f.maintainers, f.edges = d.strings(), d.strings()
	return f
}

// A decoder reads fields from the front of data.
type decoder struct{ data []byte }

func (d *decoder) bytes(n int) []byte {
	b := d.data[:n]
	d.data = d.data[n:]
	return b
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.data)
	d.data = d.data[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.data)
	d.data = d.data[n:]
	return v
}

func (d *decoder) string() string { return string(d.bytes(int(d.uvarint()))) }

func (d *decoder) strings() []string {
	n := d.uvarint()
	if n == 0 {
		return nil
	}
	list := make([]string, n)
	for i := range list {
		list[i] = d.string()
	}
	return list
}
