package aggregator

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"repronet.dev/aggregator/admin"
	"repronet.dev/api"
	"repronet.dev/ledger"
	"repronet.dev/pkgset"
)

// publishOutputs publishes a revision of a set with the outputs from ≤ n < to.
func (w *world) publishOutputs(name, revision string, from, to int) admin.Published {
	w.t.Helper()
	var lines strings.Builder
	for n := from; n < to; n++ {
		fmt.Fprintln(&lines, outputName(n))
	}
	return must(admin.PublishSet.DoWith(w.t.Context(), w.Administration(),
		admin.Set{Name: name, Revision: revision, Ecosystem: "nix", Shrink: true}, admin.Streams{Input: strings.NewReader(lines.String())}))
}

func filterOf(from, to int) []byte {
	var members []pkgset.Member
	for n := from; n < to; n++ {
		members = append(members, pkgset.Member{Key: outputName(n)})
	}
	return pkgset.Filter("nix", members)
}

// TestFilters: a filter is made once for each revision, whoever asks for it at once, and
// a new revision's is another from its publication on.
func TestFilters(t *testing.T) {
	w := newWorld(t, nil)
	client := &api.Client{HTTP: http.DefaultClient, Base: w.url}
	read := func(etag string) (filter []byte, newer string, err error) {
		f, err := client.Filter(t.Context(), "stable", etag)
		if err != nil {
			return nil, "", err
		}
		filter, err = f.Read(pkgset.MaxMembers)
		return filter, f.ETag, err
	}
	if _, _, err := read(""); err == nil {
		t.Error("a filter of a set that is not there")
	}
	first := w.publishOutputs("stable", "1", 0, 1000)
	w.settle()
	var group sync.WaitGroup
	for range 60 {
		group.Go(func() {
			filter, _, err := read("")
			if err != nil || !bytes.Equal(filter, filterOf(0, 1000)) {
				t.Errorf("%d bytes, %v", len(filter), err)
			}
		})
	}
	group.Wait()
	_, etag, err := read("")
	if err != nil || etag != fmt.Sprintf("%q", fmt.Sprint(first.Index)) {
		t.Errorf("ETag %s, %v", etag, err)
	}

	// It is not made again: without the set on disk it is still there.
	attachment := filepath.Join(w.ledgerDir(), "attachments", "sha256", fmt.Sprintf("%x", first.SHA256[:]))
	hidden := attachment + ".hidden"
	if err := os.Rename(attachment, hidden); err != nil {
		t.Fatal(err)
	}
	if _, _, err := read(""); err != nil {
		t.Errorf("the filter was made again: %v", err)
	}
	if err := os.Rename(hidden, attachment); err != nil {
		t.Fatal(err)
	}
	if _, _, err := read(etag); !errors.Is(err, api.ErrNotModified) {
		t.Errorf("who has it: %v", err)
	}

	w.publishOutputs("stable", "2", 5, 10)
	w.settle()
	filter, newer, err := read(etag)
	if err != nil || newer == etag || !bytes.Equal(filter, filterOf(5, 10)) {
		t.Errorf("of the next revision: %d bytes, ETag %s, %v", len(filter), newer, err)
	}
	if w.filters.size != len(filter) || len(w.filters.kept) != 1 {
		t.Errorf("%d bytes of %d filters are kept", w.filters.size, len(w.filters.kept))
	}
}

// TestFilterOfDamagedSet: no filter is made of bytes that the entry does not name.
func TestFilterOfDamagedSet(t *testing.T) {
	attachments, err := ledger.OpenAttachments(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	text := must(pkgset.Encode("nix", []pkgset.Member{{Key: outputName(1)}, {Key: outputName(2)}}))
	id := must(attachments.Put(bytes.NewReader(text)))
	f := newFilters(attachments)
	whole := pkgset.Entry{Name: "stable", Revision: "1", Ecosystem: "nix", Members: 2, SHA256: [32]byte(id)}
	other := whole
	other.Members = 3
	if _, err := f.get(t.Context(), &other); err == nil || !strings.Contains(err.Error(), "3 members") {
		t.Errorf("another number of members: %v", err)
	}
	if filter, err := f.get(t.Context(), &whole); err != nil || !bytes.Equal(filter, filterOf(1, 3)) {
		t.Errorf("%x, %v", filter, err)
	}
	if err := attachments.Erase(id); err != nil {
		t.Fatal(err)
	}
	if _, err := f.get(t.Context(), &whole); !errors.Is(err, ledger.ErrErased) || f.size != 0 {
		t.Errorf("erased: %v, %d bytes are kept", err, f.size)
	}
}

// TestFiltersAreBounded: what is kept is less than the bound, whatever is published.
func TestFiltersAreBounded(t *testing.T) {
	f := newFilters(nil)
	for n := range 10 {
		f.keep(&pkgset.Entry{Name: fmt.Sprint("set-", n), SHA256: [32]byte{byte(n)}}, make([]byte, filtersKept/4))
	}
	f.keep(&pkgset.Entry{Name: "set-9", SHA256: [32]byte{42}}, make([]byte, filtersKept/4))
	if f.size > filtersKept || len(f.kept) != 4 || f.kept["set-9"].sum[0] != 42 {
		t.Errorf("%d bytes of %d filters are kept", f.size, len(f.kept))
	}
}
