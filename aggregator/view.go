package aggregator

import (
	"context"

	web "repronet.dev/aggregator/http"
	"repronet.dev/aggregator/index"
	"repronet.dev/aggregator/query"
	"repronet.dev/aggregator/store"
	"repronet.dev/attestation"
	"repronet.dev/ledger"
	"repronet.dev/pkgset"
	"repronet.dev/reading"
)

// A view is what pages, API and exports are answered from: a ledger on this process's disk,
// and the index over it. The server that writes the ledger has one, and each that follows it.
type view struct {
	config  Config
	deps    Dependencies
	logKey  string // the log's verifier key
	ledger  diskLedger
	keeper  *indexKeeper // of store and index
	store   *store.Store
	index   *index.Index
	filters *filters
	recent  reading.Recent // from who takes statements in to the index
}

// parts are those of the router that a view answers.
func (v *view) parts(source *query.Query, ledgerDir string) web.Parts {
	return web.Parts{
		Source: source, Suggestions: source.Suggestions, Exports: &exporter{v.store, v.index},
		Log:   web.Log{Dir: ledgerDir, Key: v.logKey, Erased: v.erased},
		Entry: v.ledger.Entry,
		Filter: func(ctx context.Context, name string) (*web.Filter, error) {
			set, index, err := v.indexedSet(ctx, source, name)
			if err != nil {
				return nil, err
			}
			return v.filterOf(set, index), nil
		},
		Indexed: v.keeper.answers, Lacking: v.keeper.lacking,
		Stopped: func() error {
			if newer := v.index.Newer(); newer != nil {
				return newer
			}
			return nil
		},
	}
}

func (v *view) filterOf(set *pkgset.Entry, index uint64) *web.Filter {
	return &web.Filter{Index: index, Bytes: func(ctx context.Context) ([]byte, error) { return v.filters.get(ctx, set) }}
}

// erased reports whether the ledger erased an attachment.
func (v *view) erased(sum attestation.Digest) bool {
	return v.ledger.attachments.Erased(ledger.AttachmentID(sum))
}
