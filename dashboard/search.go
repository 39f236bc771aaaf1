package dashboard

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/ecosystem"
	"repronet.dev/signing"
)

const (
	searchRows   = 50
	searchLength = 600 // more than any name has
)

type searchPage struct {
	frame
	Digest string // that was looked for, "" for text
	Rows   []searchRow
	Full   bool // there may be more
}

type searchRow struct {
	Name name
	Row  OutputRow
}

// search redirects to the page of what was named exactly, and lists outputs
// otherwise.
func (d *Dashboard) search(c *gin.Context) (string, view, error) {
	ctx := c.Request.Context()
	text := strings.TrimSpace(c.Query("q"))
	if len(text) > searchLength {
		return "", nil, invalid("A search has at most %d characters.", searchLength)
	}
	v := &searchPage{frame: frame{Title: "Search", Query: text}}
	if text == "" {
		return "search", v, nil
	}
	var rows []OutputRow
	if digest, err := attestation.ParseAnyDigest(text); err == nil {
		found, err := d.source.ByDigest(ctx, digest)
		if err != nil {
			return "", nil, err
		}
		v.Digest = digest.String()
		v.JSON = api.OutputsPath + "?digest=" + v.Digest
		if len(found) == 1 {
			c.Redirect(http.StatusSeeOther, outputURL(found[0]))
			return "", nil, nil
		}
		rows = found
	} else {
		if purl, err := ecosystem.ParsePURL(text); err == nil {
			text = purl.Text()
		}
		target, err := d.exact(ctx, text)
		if err != nil {
			return "", nil, err
		}
		if target != "" {
			c.Redirect(http.StatusSeeOther, target)
			return "", nil, nil
		}
		if rows, err = d.source.Search(ctx, text, searchRows+1); err != nil {
			return "", nil, err
		}
	}
	v.Full = len(rows) > searchRows
	for _, row := range rows[:min(len(rows), searchRows)] {
		v.Rows = append(v.Rows, searchRow{outputName(row), row})
	}
	return "search", v, nil
}

// exact finds the page of an output, a build or a builder by its whole name; ""
// if there is none.
func (d *Dashboard) exact(ctx context.Context, text string) (string, error) {
	output, err := d.source.Output(ctx, text)
	if err == nil {
		return outputURL(output.OutputRow), nil
	}
	if !errors.Is(err, ErrNotFound) {
		return "", err
	}
	build, err := d.source.Build(ctx, text)
	if err == nil {
		return buildURL(build.Name), nil
	}
	if !errors.Is(err, ErrNotFound) {
		return "", err
	}
	id, err := signing.ParseBuilderID(text)
	if err != nil {
		return "", nil
	}
	builder, err := d.source.Builder(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return newBuilderName(builder.Operator, builder.ID).Href, nil
}
