package dashboard

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/xml"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"repronet.dev/api"
	"repronet.dev/attestation"
)

// Feeds are Atom (RFC 4287). An entry is a change, as of one entry of the ledger: it has the
// same ID, time and text for ever, and in each server that has the ledger.

const (
	feedChanges   = 50 // in a feed
	feedRevisions = 8
)

type (
	atomFeed struct {
		XMLName   xml.Name    `xml:"http://www.w3.org/2005/Atom feed"`
		ID        string      `xml:"id"`
		Title     string      `xml:"title"`
		Subtitle  string      `xml:"subtitle"`
		Updated   string      `xml:"updated"`
		Author    atomPerson  `xml:"author"`
		Links     []atomLink  `xml:"link"`
		Generator string      `xml:"generator"`
		Entries   []atomEntry `xml:"entry"`
	}
	atomPerson struct {
		Name string `xml:"name"`
		URI  string `xml:"uri"`
	}
	atomLink struct {
		Rel  string `xml:"rel,attr"`
		Type string `xml:"type,attr,omitempty"`
		Href string `xml:"href,attr"`
	}
	atomCategory struct {
		Term string `xml:"term,attr"`
	}
	atomEntry struct {
		ID         string         `xml:"id"`
		Title      string         `xml:"title"`
		Updated    string         `xml:"updated"`
		Published  string         `xml:"published"`
		Links      []atomLink     `xml:"link"`
		Categories []atomCategory `xml:"category"`
		Summary    string         `xml:"summary"`

		index uint64 // of the ledger's entry
	}
)

// A feed makes entries for one feed of one server.
type feed struct {
	base     string // address of the server
	ids      string // what the IDs of all its entries begin with
	evidence bool   // entries of the ledger can be linked
}

// newFeed returns a feed of a name that its server has for no other. Tag URIs (RFC 4151) are
// made of the ledger's key, which stays when the server's address changes.
func (d *Dashboard) newFeed(c *gin.Context, name string) feed {
	log := sha256.Sum256([]byte(d.config.LogKey))
	return feed{d.BaseURL(c), fmt.Sprintf("tag:repronet.dev,2026:%x:%s", log[:8], name), d.config.Entry != nil}
}

// document completes and writes a feed.
func (f feed) document(title, subtitle, self, page string, entries []atomEntry) (*Document, error) {
	updated := stamp(time.Unix(0, 0)) // nothing has changed yet
	if len(entries) > 0 {
		updated = entries[0].Updated
	}
	body, err := xml.MarshalIndent(atomFeed{
		ID: f.ids, Title: title, Subtitle: subtitle, Updated: updated, Author: atomPerson{"repronet", f.base}, Generator: "repronet",
		Links: []atomLink{
			{Rel: "self", Type: atomType, Href: f.base + self},
			{Rel: "alternate", Type: "text/html", Href: f.base + page},
		},
		Entries: entries,
	}, "", " ")
	if err != nil {
		return nil, fmt.Errorf("writing a feed: %w", err)
	}
	return &Document{Type: atomType + "; charset=utf-8", Body: append([]byte(xml.Header), append(body, '\n')...)}, nil
}

// entry is that of a change.
func (f feed) entry(change *VerdictChange) atomEntry {
	id := attestation.NewOutputID(change.Ecosystem, change.Key)
	said, why := Sentences(change)
	entry := atomEntry{
		ID: fmt.Sprintf("%s:%d:%x", f.ids, change.Index, id[:]), Title: said, Updated: stamp(change.ReceivedAt), Published: stamp(change.ReceivedAt),
		Links:      []atomLink{{Rel: "alternate", Type: "text/html", Href: f.base + ChangeURL(change)}},
		Categories: []atomCategory{{string(change.Kind)}},
		Summary:    why, index: change.Index,
	}
	f.evident(&entry)
	return entry
}

// evident links the entry of the ledger by which something became so.
func (f feed) evident(entry *atomEntry) {
	if f.evidence {
		entry.Links = append(entry.Links, atomLink{Rel: "related", Href: fmt.Sprintf("%s%s/%d", f.base, api.EntriesPath, entry.index)})
	}
}

// Lengths in feeds, in characters.
const (
	feedTitle = 120
	feedText  = 1024
)

// ChangeURL is where the pages show the output of a change.
func ChangeURL(change *VerdictChange) string {
	return outputURL(OutputRow{Key: change.Key, Ecosystem: change.Ecosystem, Build: change.Build})
}

// Sentences say what a change is, and of what, in words that are printed as they are: what
// strangers wrote in them has no control characters, and a bounded length.
func Sentences(change *VerdictChange) (title, text string) {
	name := func(key string) string { return Plain(newName(change.Ecosystem, key).Short(), feedTitle) }
	is := name(change.Key)
	switch {
	case change.Kind == api.ChangeRegressed:
		title = fmt.Sprintf("Regression: %s diverged, %s was reproduced", is, name(change.Was))
	case change.Kind == api.ChangeFixed && change.Was != "":
		title = fmt.Sprintf("Fixed: %s is reproduced, %s diverged", is, name(change.Was))
	case change.Kind == api.ChangeFixed:
		title = is + " is reproduced, and diverges no more"
	case change.Kind == api.ChangeUndecided:
		title = is + " diverges no more: what is left says too little"
	default:
		title = is + " diverged: operators got different digests"
	}
	text = fmt.Sprintf("By ledger entry %d the verdict went from %s to %s. Output: %s", change.Index, change.From, change.To, Plain(change.Key, feedText))
	for _, of := range []struct{ what, text string }{{"Attribute", change.Attribute}, {"Version", change.Version}, {"System", change.System}, {"In the place of", change.Was}} {
		if of.text != "" {
			text += fmt.Sprintf(". %s: %s", of.what, Plain(of.text, feedText))
		}
	}
	return title, text
}

// changeFilter reads the filters that a feed of divergences has.
func changeFilter(c *gin.Context) (ChangeQuery, error) {
	return ChangeQuery{Set: c.Query("set"), Maintainer: c.Query("maintainer"), Ecosystem: c.Query("ecosystem"), Project: c.Query("project"), Package: c.Query("package")},
		refuseOthers(c, "set", "maintainer", "ecosystem", "project", "package")
}

// DivergencesFeed is the newest changes of verdicts to diverged and back.
func (d *Dashboard) DivergencesFeed(c *gin.Context) (*Document, error) {
	filter, err := changeFilter(c)
	if err != nil {
		return nil, err
	}
	return d.changesFeed(c, filter, "Divergences"+ofFilter(filter), filter.URL(DivergencesPath+FeedSuffix), filter.URL(DivergencesPath))
}

// ofFilter says in a title to what a feed is restricted.
func ofFilter(filter ChangeQuery) string {
	var parts []string
	for _, of := range []struct{ what, text string }{{"set", filter.Set}, {"maintainer", filter.Maintainer}, {"ecosystem", filter.Ecosystem}, {"project", filter.Project}, {"package", filter.Package}} {
		if of.text != "" {
			parts = append(parts, of.what+" "+Plain(of.text, feedTitle))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return ": " + strings.Join(parts, ", ")
}

// SetFeed is what changed in a package set.
func (d *Dashboard) SetFeed(c *gin.Context) (*Document, error) {
	if err := refuseOthers(c); err != nil {
		return nil, err
	}
	name := c.Param("name")
	changes, revisions, err := d.ofSet(c.Request.Context(), name)
	if err != nil {
		return nil, err
	}
	f := d.newFeed(c, "sets/"+url.PathEscape(name))
	var entries []atomEntry
	newest := ""
	for i := range changes {
		entries = append(entries, f.entry(&changes[i]))
	}
	for i := range revisions {
		if i == 0 {
			newest = revisions[i].Revision
		}
		entries = append(entries, f.revision(&revisions[i]))
	}
	slices.SortStableFunc(entries, func(a, b atomEntry) int { return cmp.Compare(b.index, a.index) })
	return f.document("Package set "+Plain(name, feedTitle), "Regressions, fixes and new divergences of its members, and its revisions",
		setFeedURL(name), setURL(name, newest), entries)
}

func (d *Dashboard) ofSet(ctx context.Context, name string) ([]VerdictChange, []SetRevision, error) {
	changes, err := d.source.SetChanges(ctx, name, feedChanges)
	var revisions []SetRevision
	if err == nil {
		revisions, err = d.source.SetRevisions(ctx, name, feedRevisions)
	}
	if errors.Is(err, ErrNotFound) {
		return nil, nil, noSet(err, name)
	}
	return changes, revisions, err
}

// revision is the entry of a revision: what follows from the revisions alone, so that it
// stays.
func (f feed) revision(r *SetRevision) atomEntry {
	text := "It has " + count(r.Members, "output")
	if r.Members == 0 {
		text = "It has no outputs: the set is retired"
	}
	if r.Before != "" {
		text += fmt.Sprintf(". Since %s: %s added, %s removed, %s changed", Plain(r.Before, feedTitle), number(r.Added), number(r.Removed), number(r.Changed))
	}
	entry := atomEntry{
		ID: fmt.Sprintf("%s:%d:revision", f.ids, r.Index), Title: fmt.Sprintf("%s: revision %s", Plain(r.Name, feedTitle), Plain(r.Revision, feedTitle)),
		Updated: stamp(r.PublishedAt), Published: stamp(r.PublishedAt),
		Links:      []atomLink{{Rel: "alternate", Type: "text/html", Href: f.base + revisionURL(r.Name, r.Revision)}},
		Categories: []atomCategory{{"revision"}}, Summary: text + ".", index: r.Index,
	}
	f.evident(&entry)
	return entry
}
