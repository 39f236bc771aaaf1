package outputmap

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"repronet.dev/attestation"
)

func mustBucket(t testing.TB, s *Snapshot, prefix attestation.Prefix) *Bucket {
	t.Helper()
	bucket, err := s.ProveBucket(prefix)
	if err != nil {
		t.Fatal(err)
	}
	return bucket
}

// TestBucketsAgainstNaive compares buckets with the definition, at sizes around those of
// blocks: of keys that are there, of neighbours, and at both ends.
func TestBucketsAgainstNaive(t *testing.T) {
	for _, keys := range []int{0, 1, 2, 255, 256, 257, 2100} {
		t.Run(fmt.Sprint(keys), func(t *testing.T) {
			m, size := random(rand.New(rand.NewPCG(2, uint64(keys))), keys)
			s := mustBuild(t, m.pairs(), size)
			ask := []attestation.Prefix{"000", "fff", "00000", "fffff", "800"}
			for i, key := range m.keys() {
				if i%17 == 0 || i == keys-1 {
					ask = append(ask, key.Prefix(3), key.Prefix(4), key.Prefix(5))
				}
			}
			for _, prefix := range ask {
				data, err := mustBucket(t, s, prefix).Encode()
				if err != nil {
					t.Fatal(err)
				}
				bucket, err := ParseBucket(data)
				if err != nil {
					t.Fatal(err)
				}
				leaves, err := bucket.Verify(s.Root(), prefix)
				if err != nil {
					t.Fatalf("%s: %v", prefix, err)
				}
				got, want := map[attestation.OutputID][]uint64{}, map[attestation.OutputID][]uint64{}
				for _, leaf := range leaves {
					got[leaf.Key] = leaf.Entries
				}
				for key, entries := range m {
					if strings.HasPrefix(fmt.Sprintf("%x", key[:]), string(prefix)) {
						want[key] = entries
					}
				}
				if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("%s (-want +got):\n%s", prefix, diff)
				}
			}
		})
	}
}

// bucketed is a map of 4 keys in each of the buckets 00001, 00002, …, up to the number.
func bucketed(t *testing.T, buckets int) *Snapshot {
	t.Helper()
	m, index := naive{}, uint64(0)
	for b := 1; b <= buckets; b++ {
		for k := range 4 {
			m[attestation.OutputID{0, byte(b >> 4), byte(b<<4) | byte(k)}] = []uint64{index}
			index++
		}
	}
	return mustBuild(t, m.pairs(), index)
}

// TestForgedBuckets changes an honest bucket in every way that would hide an entry, or make
// one up.
func TestForgedBuckets(t *testing.T) {
	s := bucketed(t, 30)
	const asked = attestation.Prefix("00009")
	for _, test := range []struct {
		name string
		edit func(b *Bucket, r *Root)
		want string
	}{
		{"a leaf left out", func(b *Bucket, _ *Root) { b.Leaves = slices.Delete(b.Leaves, 2, 3) }, "does not follow"},
		{"the first inside left out", func(b *Bucket, _ *Root) { b.Leaves = slices.Delete(b.Leaves, 1, 2) }, "does not follow"},
		{"the one before left out, with the first", func(b *Bucket, _ *Root) { b.Leaves = b.Leaves[2:] }, "no leaf before"},
		{"the one before left out", func(b *Bucket, _ *Root) { b.Leaves = b.Leaves[1:] }, "no leaf before"},
		{"the one after left out", func(b *Bucket, _ *Root) { b.Leaves = b.Leaves[:5] }, "no leaf after"},
		{"the one after left out, with the last", func(b *Bucket, _ *Root) { b.Leaves = b.Leaves[:4] }, "no leaf after"},
		{"only the one before", func(b *Bucket, _ *Root) { b.Leaves = b.Leaves[:1] }, "no leaf after"},
		{"only the one after", func(b *Bucket, _ *Root) { b.Leaves = b.Leaves[5:] }, "no leaf before"},
		{"nothing", func(b *Bucket, _ *Root) { b.Leaves = nil }, "no leaf"},
		{"another bucket", func(b *Bucket, _ *Root) { *b = *mustBucket(t, s, "0000a") }, "no leaf before"},
		{"two before", func(b *Bucket, _ *Root) {
			b.Leaves = append(slices.Clone(mustBucket(t, s, "00008").Leaves[3:4]), b.Leaves...)
		}, "does not begin with"},
		{"an entry added", func(b *Bucket, _ *Root) { b.Leaves[2].Entries = append(b.Leaves[2].Entries, 100) }, "not in the map"},
		{"an entry changed", func(b *Bucket, _ *Root) { b.Leaves[2].Entries[0]++ }, "not in the map"},
		{"a leaf renamed out of the bucket", func(b *Bucket, _ *Root) { b.Leaves[1].Key = b.Leaves[0].Key }, "not in the map"},
		{"positions moved", func(b *Bucket, _ *Root) { b.Leaves[1].Position++ }, "not in the map"},
		{"reversed", func(b *Bucket, _ *Root) { slices.Reverse(b.Leaves) }, "does not follow"},
		{"a leaf twice", func(b *Bucket, _ *Root) { b.Leaves = slices.Insert(b.Leaves, 2, b.Leaves[1]) }, "does not follow"},
		{"another map", func(_ *Bucket, r *Root) { r.Hash[0] ^= 1 }, "not in the map"},
		{"a map said to be empty", func(b *Bucket, r *Root) { b.Leaves, r.Leaves = nil, 0 }, "without leaves"},
		{"more than any has", func(b *Bucket, _ *Root) { b.Leaves = make([]Leaf, maxBucketLeaves+3) }, "no bucket has more"},
	} {
		t.Run(test.name, func(t *testing.T) {
			bucket, root := mustBucket(t, s, asked), s.Root()
			if leaves, err := bucket.Verify(root, asked); err != nil || len(leaves) != 4 {
				t.Fatalf("honest bucket: %d leaves, %v", len(leaves), err)
			}
			test.edit(bucket, &root)
			leaves, err := bucket.Verify(root, asked)
			if !errors.Is(err, ErrInvalid) || leaves != nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("%d leaves, %v, want %q", len(leaves), err, test.want)
			}
		})
	}
}

// TestBucketTooLarge: a bucket with too many outputs, or too many entries about one, is not
// proven, and says what to ask instead.
func TestBucketTooLarge(t *testing.T) {
	many, long := naive{}, naive{}
	for i := range maxBucketLeaves + 1 {
		many[attestation.OutputID{1, 0, byte(i >> 8), byte(i)}] = []uint64{uint64(i)}
	}
	for i := range uint64(maxBucketEntries + 1) {
		long[attestation.OutputID{1}] = append(long[attestation.OutputID{1}], i)
	}
	for name, m := range map[string]naive{"outputs": many, "entries": long} {
		s := mustBuild(t, m.pairs(), maxBucketEntries+1)
		if _, err := s.ProveBucket("010"); !errors.Is(err, ErrBucket) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := s.ProveBucket("020"); err != nil && name == "outputs" {
			t.Errorf("another bucket: %v", err)
		}
	}
}

// FuzzParseBucket: whatever is parsed verifies, or is refused.
func FuzzParseBucket(f *testing.F) {
	f.Add([]byte(`{"leaves":[{"position":0,"key":"0100000000000000000000000000000000000000","entries":[1],"path":[]}]}`))
	f.Add([]byte(`{"leaves":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		bucket, err := ParseBucket(data)
		if err != nil {
			return
		}
		if leaves, err := bucket.Verify(Root{Size: 2, Leaves: 2}, "010"); err == nil && len(leaves) > 2 {
			t.Errorf("%d leaves of 2", len(leaves))
		}
	})
}
