package dashboard

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// BadgeSeconds is for how long a badge may be kept by who shows it.
const BadgeSeconds = 300

// badgeLag is how long a ledger entry may wait to be indexed until badges say nothing.
const badgeLag = 10 * time.Minute

// A badge is a line about a package set or a package for pages elsewhere.
type badge struct {
	Label, Message string
	Colour         string // "#" and hex, dark enough for white text
	Unverified     bool   // nothing is claimed
	Status         int    // of the answer
}

// The colours of badges; what a badge says is in its text.
const (
	badgeGood    = "#17693f" // at least 95 % of what was compared
	badgeFair    = "#775400" // at least 80 %
	badgeBad     = "#a3301a"
	badgeFew     = "#1f4e9c" // less than half of the set was compared: the rate says little
	badgeNothing = "#58626c"
	badgeLabel   = "#2a3138"
)

// badgeRunes is how many characters each half of a badge has at most.
const badgeRunes = 60

// A counted is what a badge says something of: a package set or a package.
type counted struct {
	release string // its newest revision or version; "" without
	*Summary
	none string        // is said where there are no outputs
	says func() string // is said where some were compared
}

// badgeFor is the badge of what has a name, of which read finds the counts; kind says in words
// what it is. It never fails for want of an index: who shows the badge would keep the one before.
func (d *Dashboard) badgeFor(ctx context.Context, kind, name string, read func() (*counted, error)) badge {
	b := badge{Label: Plain(name, badgeRunes), Colour: badgeNothing, Unverified: true, Status: http.StatusOK}
	if d.config.Indexed != nil && d.config.Indexed() != nil {
		b.Message = "unverified: the index is not there now"
		return b
	}
	of, err := read()
	switch {
	case errors.Is(err, ErrNotFound):
		b.Message, b.Status = "unverified: no such "+kind, http.StatusNotFound
		return b
	case err != nil:
		d.config.Logger.WarnContext(ctx, "reading the counts for a badge", "error", err)
		b.Message = "unverified: the index does not answer"
		return b
	}
	if of.release != "" {
		b.Label = Plain(name+" "+of.release, badgeRunes)
	}
	switch {
	case d.late(ctx, of.Summary):
		b.Message = fmt.Sprintf("unverified: %s ledger entries behind", number(of.LedgerSize-of.Indexed))
	case of.Outputs == 0:
		b.Message = "unverified: " + of.none
	case of.Compared == 0:
		b.Message = fmt.Sprintf("unverified: 0 of %s compared", number(of.Outputs))
	default:
		b.Unverified = false
		b.Message, b.Colour = of.says(), badgeColour(of.Summary)
	}
	return b
}

// badgeOf is the badge of a package set.
func (d *Dashboard) badgeOf(ctx context.Context, set string) badge {
	return d.badgeFor(ctx, "package set", set, func() (*counted, error) {
		s, err := d.summaryOf(ctx, set)
		if err != nil {
			return nil, err
		}
		return &counted{s.Revision, s, "the set has no outputs", func() string {
			return fmt.Sprintf("%s reproduced (%s of %s), %s of %s compared",
				percent(s.Reproduced, s.Compared), number(s.Reproduced), number(s.Compared), number(s.Compared), number(s.Outputs))
		}}, nil
	})
}

func badgeColour(s *Summary) string {
	switch {
	case 2*s.Compared < s.Outputs:
		return badgeFew
	case 100*s.Reproduced >= 95*s.Compared:
		return badgeGood
	case 100*s.Reproduced >= 80*s.Compared:
		return badgeFair
	default:
		return badgeBad
	}
}

// late reports whether the index is so far behind the ledger that what it says may be stale:
// the first entry that it lacks has waited for long.
func (d *Dashboard) late(ctx context.Context, s *Summary) bool {
	if s.Indexed >= s.LedgerSize {
		return false
	}
	if d.config.Entry == nil {
		return true
	}
	entry, err := d.config.Entry(ctx, s.Indexed)
	return err != nil || time.Since(entry.ReceivedAt) > badgeLag
}

// SetBadge is the badge of a package set as a picture. Parameters are passed over: people add
// them to have a picture asked for again.
func (d *Dashboard) SetBadge(c *gin.Context) (*Document, error) {
	return d.badgeOf(c.Request.Context(), c.Param("name")).picture()
}

// SetBadgeJSON is the badge of a package set as shields.io's endpoint badge takes it.
func (d *Dashboard) SetBadgeJSON(c *gin.Context) (*Document, error) {
	return d.badgeOf(c.Request.Context(), c.Param("name")).shield()
}

func (b badge) picture() (*Document, error) {
	body, err := b.draw()
	return &Document{Status: b.Status, Type: "image/svg+xml", Body: body}, err
}

// shield is the badge for others to draw: https://shields.io/badges/endpoint-badge.
func (b badge) shield() (*Document, error) {
	body, err := json.Marshal(shield{1, b.Label, b.Message, b.Colour, badgeLabel, b.Unverified, BadgeSeconds}, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return nil, fmt.Errorf("writing a badge: %w", err)
	}
	return &Document{Status: b.Status, Type: "application/json", Body: append(body, '\n')}, nil
}

type shield struct {
	SchemaVersion int    `json:"schemaVersion"`
	Label         string `json:"label"`
	Message       string `json:"message"`
	Color         string `json:"color"`
	LabelColor    string `json:"labelColor"`
	IsError       bool   `json:"isError"` // nobody may paint it in another colour
	CacheSeconds  int    `json:"cacheSeconds"`
}

type (
	badgeSVG struct {
		XMLName xml.Name    `xml:"http://www.w3.org/2000/svg svg"`
		Width   int         `xml:"width,attr"`
		Height  int         `xml:"height,attr"`
		ViewBox string      `xml:"viewBox,attr"`
		Role    string      `xml:"role,attr"`
		Says    string      `xml:"aria-label,attr"`
		Title   string      `xml:"title"`
		Rects   []badgeRect `xml:"rect"`
		Texts   []badgeText `xml:"text"`
	}
	badgeRect struct {
		X      int    `xml:"x,attr"`
		Width  int    `xml:"width,attr"`
		Height int    `xml:"height,attr"`
		Fill   string `xml:"fill,attr"`
	}
	badgeText struct {
		X      int    `xml:"x,attr"`
		Y      int    `xml:"y,attr"`
		Fill   string `xml:"fill,attr"`
		Family string `xml:"font-family,attr"`
		Size   int    `xml:"font-size,attr"`
		Length int    `xml:"textLength,attr"`
		Adjust string `xml:"lengthAdjust,attr"`
		Text   string `xml:",chardata"`
	}
)

// draw writes the badge as SVG: whatever it says is text there.
func (b badge) draw() ([]byte, error) {
	const height, padding = 20, 6
	label, message := textWidth(b.Label), textWidth(b.Message)
	split := label + 2*padding
	width := split + message + 2*padding
	text := func(x, length int, words string) badgeText {
		return badgeText{
			X: x, Y: 14, Fill: "#fff", Family: "Verdana,DejaVu Sans,Geneva,sans-serif", Size: 11, Length: length, Adjust: "spacingAndGlyphs", Text: words,
		}
	}
	says := b.Label + ": " + b.Message
	svg, err := xml.Marshal(badgeSVG{
		Width: width, Height: height, ViewBox: fmt.Sprintf("0 0 %d %d", width, height), Role: "img", Says: says, Title: says,
		Rects: []badgeRect{{0, split, height, badgeLabel}, {split, width - split, height, b.Colour}},
		Texts: []badgeText{text(padding, label, b.Label), text(split+padding, message, b.Message)},
	})
	if err != nil {
		return nil, fmt.Errorf("drawing a badge: %w", err)
	}
	return append(svg, '\n'), nil
}

// textWidth is about how many pixels a line of Verdana in 11 pixels takes. The picture says
// it too, so that every font is made to fit.
func textWidth(text string) int {
	tenths := 0
	for _, r := range text {
		switch {
		case r == 'm' || r == 'w' || r == 'M' || r == 'W' || r == '%':
			tenths += 107
		case r == 'i' || r == 'j' || r == 'l' || r == '.' || r == ',' || r == ':' || r == '\'' || r == '|' || r == ' ':
			tenths += 36
		case r == 'f' || r == 'r' || r == 't' || r == '-' || r == '(' || r == ')' || r == 'I':
			tenths += 47
		case r >= 'A' && r <= 'Z':
			tenths += 78
		case r < 0x80:
			tenths += 68
		default:
			tenths += 110
		}
	}
	return (tenths + 9) / 10
}
