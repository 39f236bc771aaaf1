package dashboard

import (
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
	return d.badgeFor(ctx, "package", asked.Name, func() (*counted, error) {
		p, err := d.source.Package(ctx, asked)
		if err != nil {
			return nil, err
		}
		covered, err := d.source.Summary(ctx, "")
		if err != nil {
			return nil, err
		}
		v := &p.Newest
		of := *covered
		of.Outputs, of.Compared, of.Reproduced = v.All(), v.Compared(), v.Reproduced
		return &counted{v.Version, &of, "no operator who counts built it", func() string {
			return fmt.Sprintf("%s of %s reproduced, %s diverged", number(v.Reproduced), count(v.All(), "output"), number(v.Diverged))
		}}, nil
	})
}
