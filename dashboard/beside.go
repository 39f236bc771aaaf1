package dashboard

import (
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/gin-gonic/gin"
)

// Addresses of pages that others stand beside.
const (
	DivergencesPath = "/divergences"
	SetsPath        = "/sets"
	PackagesPath    = "/packages"
	MaintainersPath = "/maintainers"
	// SubscriptionsPath begins the addresses to which links in mails lead.
	SubscriptionsPath = "/subscriptions"
	BadgesPath        = "/badges/"
	FeedSuffix        = ".atom"
)

// A Document is what stands beside pages for programs: a feed, a list or a badge.
type Document struct {
	Status int    // of a badge
	Type   string // media type
	Body   []byte
	Next   string // URL of the next part of a list, "" at its end
	File   string // name under which a list is kept
}

// An alternate is a document of the same matter as a page, to which the page's head links.
type alternate struct{ Type, Title, Href string }

const atomType = "application/atom+xml"

// refuseOthers refuses a query with a parameter that is none of the given ones: who asks for
// less would get all, and not know.
func refuseOthers(c *gin.Context, known ...string) error {
	for name := range c.Request.URL.Query() {
		switch {
		case slices.Contains(known, name):
		case len(known) == 0:
			return invalid("Parameter %.40q: this address takes none.", name)
		default:
			return invalid("Parameter %.40q: there is none of this name here; there are %s.", name, strings.Join(known, ", "))
		}
	}
	return nil
}

// BesideSuffixes are the endings of documents beside pages of packages and maintainers.
func BesideSuffixes() []string { return []string{FeedSuffix, ".csv", ".json"} }

// namedURL is the page below a path of what may have any name. One that ends like a document
// beside a page is told from that by a slash behind it.
func namedURL(path, name string) string {
	address := path + "/" + url.PathEscape(name)
	if slices.ContainsFunc(BesideSuffixes(), func(suffix string) bool { return strings.HasSuffix(name, suffix) }) {
		address += "/"
	}
	return address
}

// setURL is the page of a package set. A name that ends like a document beside a page is
// reached through its revision.
func setURL(name, revision string) string {
	if strings.HasSuffix(name, FeedSuffix) && revision != "" {
		return revisionURL(name, revision)
	}
	return SetsPath + "/" + url.PathEscape(name)
}

func revisionURL(name, revision string) string {
	return SetsPath + "/" + url.PathEscape(name) + "/" + url.PathEscape(revision)
}

func setFeedURL(name string) string { return SetsPath + "/" + url.PathEscape(name) + FeedSuffix }

func badgeURL(set, suffix string) string { return BadgesPath + "sets/" + url.PathEscape(set) + suffix }

// Plain is a text of strangers for where nothing but text is shown: what is not printed, or
// turns the direction of writing, becomes a replacement character, and what is longer than a
// line is cut.
func Plain(text string, most int) string {
	runes := []rune(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text))
	if len(runes) > most {
		runes = append(runes[:most-1], '…')
	}
	return string(runes)
}

// stamp is a time as RFC 3339 writes it.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
