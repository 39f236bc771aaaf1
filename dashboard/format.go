package dashboard

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"repronet.dev/attestation"
	"repronet.dev/ecosystem"
)

// number writes n in groups of three digits.
func number(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// count writes n with a noun that is made plural by -s.
func count(n uint64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return number(n) + " " + noun + "s"
}

// percent writes part ÷ whole so that rounding never claims all or nothing.
func percent(part, whole uint64) string {
	if whole == 0 {
		return "–"
	}
	tenths := float64(part) * 1000 / float64(whole)
	switch {
	case part == whole:
		return "100 %"
	case part == 0:
		return "0 %"
	case tenths > 999:
		return "> 99.9 %"
	case tenths < 1:
		return "< 0.1 %"
	}
	return strconv.FormatFloat(tenths/10, 'f', 1, 64) + " %"
}

// A moment is a time as a page shows it: how long ago, and exactly.
type moment struct {
	ISO      string // for the machine; "" where the time is not known
	Ago      string
	Absolute string
}

func newMoment(t, now time.Time) moment {
	if t.IsZero() {
		return moment{}
	}
	t = t.UTC()
	return moment{ISO: t.Format(time.RFC3339), Ago: ago(t, now), Absolute: t.Format("2 Jan 2006, 15:04 UTC")}
}

// ago is also done in app.js, which keeps it current.
func ago(t, now time.Time) string {
	d, form := now.Sub(t), "%s ago"
	if d < 0 {
		d, form = -d, "in %s"
	}
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{365 * 24 * time.Hour, "year"}, {30 * 24 * time.Hour, "month"}, {24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if n := d / unit.length; n >= 1 {
			return fmt.Sprintf(form, count(uint64(n), unit.name))
		}
	}
	return "just now"
}

// A name is a build's name or an output's key, taken apart for reading. Its
// parts in order are the whole name.
type name struct {
	Dir   string // "/nix/store/", or what comes before the last part
	Hash  string // of a store path
	Label string // what people call it
	Href  string // its page, "" where it has none
}

func newName(in, full string) name {
	s := ecosystem.Of(in).Show(full)
	return name{Dir: s.Dir, Hash: s.Hash, Label: s.Label}
}

// Short is the label without what every build's name has.
func (n name) Short() string {
	if n.Hash == "" {
		return n.Label
	}
	return strings.TrimSuffix(n.Label, ".drv")
}

// outputName is the name of an output in a list, linked to its place on the
// page of its build.
func outputName(row OutputRow) name {
	n := newName(row.Ecosystem, row.Key)
	n.Href = outputURL(row)
	return n
}

// buildURL is the page of a build, or of an output whose build is not known.
func buildURL(name string) string {
	return (&url.URL{Path: "/builds/" + strings.TrimPrefix(name, "/")}).String()
}

func outputURL(row OutputRow) string {
	if row.Build == "" {
		return buildURL(row.Key)
	}
	return buildURL(row.Build) + "#" + anchor(row)
}

// anchor names an output within the page of its build.
func anchor(row OutputRow) string {
	id := attestation.NewOutputID(row.Ecosystem, row.Key)
	return fmt.Sprintf("o-%x", id[:6])
}

// builderName is a builder as pages name it: by its operator, because that is
// who counts.
type builderName struct {
	Operator string
	ID       string
	Short    string
	Href     string
}

func newBuilderName(operator, id string) builderName {
	short := id
	if len(short) > 8 {
		short = short[:8]
	}
	return builderName{Operator: operator, ID: id, Short: short, Href: "/builders/" + url.PathEscape(id)}
}
