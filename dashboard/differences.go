package dashboard

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"repronet.dev/api"
	"repronet.dev/manifest"
)

// filesOnPage is how many files that differ a page names of one pair.
const filesOnPage = 12

// A pairView says where two builds of an output differ.
type pairView struct {
	First, Second pairEnd
	Differ, Files int
	Equivalent    string // the stabilizers after which they are, if they are
	Rows          []fileView
	JSON          string // with all of them
	More          int
}

type pairEnd struct {
	Mark    mark
	Builder builderName
	Href    string // the signed manifest
}

type fileView struct {
	Path, Sizes string
	What        string
	Equivalent  string
	Only        *mark // the one build that has it; nil: both do
}

// pairs says where the builds of an output that diverges differ, as far as builders told.
func (d *Dashboard) pairs(ctx context.Context, o *Output, factions []faction) ([]pairView, error) {
	if d.config.Differences == nil || o.Verdict != api.Diverged {
		return nil, nil
	}
	found, err := d.config.Differences(ctx, o)
	if err != nil {
		return nil, err
	}
	marks := map[string]mark{}
	for _, f := range factions {
		marks[f.Mark.Digest] = f.Mark
	}
	end := func(m *api.Manifest) pairEnd {
		query := url.Values{"output": {o.Key}, "digest": {m.Digest}, "builder": {m.Builder}}
		return pairEnd{marks[m.Digest], newBuilderName(m.Operator, m.Builder), api.ManifestPath + "?" + query.Encode()}
	}
	var pairs []pairView
	for i := range found.Pairs {
		p := &found.Pairs[i]
		v := pairView{First: end(&p.First), Second: end(&p.Second), Differ: p.Differ, Files: p.Files, Equivalent: strings.Join(p.Equivalent, ", "), JSON: api.ManifestsPath + "?" + url.Values{"output": {o.Key}}.Encode()}
		for _, f := range p.Listed[:min(len(p.Listed), filesOnPage)] {
			v.Rows = append(v.Rows, newFileView(&f, &v))
		}
		v.More = p.Differ - len(v.Rows)
		pairs = append(pairs, v)
	}
	return pairs, nil
}

func newFileView(f *manifest.FileDifference, of *pairView) fileView {
	v := fileView{Path: f.Path, What: string(f.What), Equivalent: strings.Join(f.Equivalent, ", ")}
	if f.Path == "." {
		v.Path = "the output itself"
	}
	switch f.What {
	case manifest.OnlyFirst:
		v.Only = &of.First.Mark
	case manifest.OnlySecond:
		v.Only = &of.Second.Mark
	case manifest.Executable, manifest.Target, manifest.Types, manifest.Stabilized: // is said in words
	case manifest.Contents:
		if f.Members != nil {
			v.What += ", " + f.Members.String()
		}
		if f.Sizes != nil && f.Sizes[0] == f.Sizes[1] {
			v.Sizes = fmt.Sprintf("%d bytes in both", f.Sizes[0])
		} else if f.Sizes != nil {
			v.Sizes = fmt.Sprintf("%d and %d bytes", f.Sizes[0], f.Sizes[1])
		}
	}
	return v
}
