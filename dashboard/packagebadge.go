package dashboard

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/gin-gonic/gin"
)

func packageBadgeURL(in, name, suffix string) string {
	return BadgesPath + "packages/" + url.PathEscape(name) + suffix + "?" + query("ecosystem", in)
}

// PackageBadge is the badge of a package as a picture: of its newest version of which something
// was compared. Parameters beside the ecosystem are passed over, as in [Dashboard.SetBadge].
func (d *Dashboard) PackageBadge(c *gin.Context) (*Document, error) {
	return d.packageBadge(c).picture()
}

// PackageBadgeJSON is the badge of a package as shields.io's endpoint badge takes it.
func (d *Dashboard) PackageBadgeJSON(c *gin.Context) (*Document, error) {
	return d.packageBadge(c).shield()
}

// packageBadge is the badge of the package that a path's rest names.
func (d *Dashboard) packageBadge(c *gin.Context) badge {
	ctx := c.Request.Context()
	asked, err := askedPackage(c)
	if err != nil {
		return badge{Label: "package", Message: "unverified: no package has such a name", Colour: badgeNothing, Unverified: true, Status: http.StatusNotFound}
	}
	asked.Cursor, asked.Limit = "", 1
	b := badge{Label: Plain(asked.Name, badgeRunes), Colour: badgeNothing, Unverified: true, Status: http.StatusOK}
	if d.config.Indexed != nil && d.config.Indexed() != nil {
		b.Message = "unverified: the index is not there now"
		return b
	}
	p, covered, err := d.packageNow(ctx, asked)
	switch {
	case errors.Is(err, ErrNotFound):
		b.Message, b.Status = "unverified: no such package", http.StatusNotFound
		return b
	case err != nil:
		d.config.Logger.WarnContext(ctx, "reading a package for a badge", "error", err)
		b.Message = "unverified: the index does not answer"
		return b
	}
	v := &p.Newest
	if v.Version != "" {
		b.Label = Plain(p.Name+" "+v.Version, badgeRunes)
	}
	switch {
	case d.late(ctx, covered):
		b.Message = fmt.Sprintf("unverified: %s ledger entries behind", number(covered.LedgerSize-covered.Indexed))
	case v.All() == 0:
		b.Message = "unverified: no operator who counts built it"
	case v.Compared() == 0:
		b.Message = fmt.Sprintf("unverified: 0 of %s compared", number(v.All()))
	default:
		b.Unverified = false
		b.Message = fmt.Sprintf("%s of %s reproduced, %s diverged", number(v.Reproduced), count(v.All(), "output"), number(v.Diverged))
		b.Colour = badgeColour(&Summary{Outputs: v.All(), Compared: v.Compared(), Reproduced: v.Reproduced})
	}
	return b
}

// packageNow reads a package, and how far the index is.
func (d *Dashboard) packageNow(ctx context.Context, asked VersionsQuery) (*Package, *Summary, error) {
	p, err := d.source.Package(ctx, asked)
	if err != nil {
		return nil, nil, err
	}
	covered, err := d.source.Summary(ctx, "")
	return p, covered, err
}
