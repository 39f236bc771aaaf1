package dashboard

import (
	"strconv"

	"github.com/gin-gonic/gin"
)

// findPackage finds the package of a document beside its page.
func (d *Dashboard) findPackage(c *gin.Context) (*Package, VersionsQuery, error) {
	asked, err := askedPackage(c)
	if err == nil {
		err = refuseOthers(c, "ecosystem", "limit", "cursor")
	}
	if err == nil {
		asked.Limit, err = limitOf(c, listRows)
	}
	if err != nil {
		return nil, asked, err
	}
	found, err := d.source.Package(c.Request.Context(), asked)
	return found, asked, noPackage(err, asked)
}

// PackageJSON is a package as the API describes it, with all versions that one answer has.
func (d *Dashboard) PackageJSON(c *gin.Context) (*Document, error) {
	found, _, err := d.findPackage(c)
	if err != nil {
		return nil, err
	}
	return written(found)
}

// PackageCSV is the versions of a package, a row for each system.
func (d *Dashboard) PackageCSV(c *gin.Context) (*Document, error) {
	found, asked, err := d.findPackage(c)
	if err != nil {
		return nil, err
	}
	rows := [][]string{{"package", "ecosystem", "version", "system", "outputs", "reproduced", "diverged", "single", "unbuilt", "worst"}}
	for _, v := range found.Versions {
		for _, s := range v.Systems {
			row := []string{found.Name, found.Ecosystem, v.Version, s.System}
			for _, n := range []uint64{s.All(), s.Reproduced, s.Diverged, s.Single, s.Unbuilt} {
				row = append(row, strconv.FormatUint(n, 10))
			}
			rows = append(rows, append(row, string(s.Worst())))
		}
	}
	document, err := writtenCSV("versions.csv", rows)
	if err == nil && found.Next != "" {
		document.Next = besidePackage(found.Ecosystem, found.Name, ".csv") + "&" + query("cursor", found.Next) + "&" + query("limit", strconv.Itoa(asked.Limit))
	}
	return document, err
}

// PackageFeed is the newest changes of verdicts on a package's outputs, to diverged and back.
func (d *Dashboard) PackageFeed(c *gin.Context) (*Document, error) {
	found, _, err := d.findPackage(c)
	if err != nil {
		return nil, err
	}
	of := ChangeQuery{Package: found.Name, Ecosystem: found.Ecosystem}
	return d.changesFeed(c, of, "Package "+Plain(found.Name, feedTitle), besidePackage(found.Ecosystem, found.Name, FeedSuffix), packageURL(found.Ecosystem, found.Name))
}

// changesFeed is the feed of what a query selects.
func (d *Dashboard) changesFeed(c *gin.Context, of ChangeQuery, title, self, page string) (*Document, error) {
	f := d.newFeed(c, of.URL("divergences"))
	of.Limit = feedChanges
	changes, _, err := d.source.Changes(c.Request.Context(), of)
	if err != nil {
		return nil, Missing(err, "There is no package set named %q.", of.Set)
	}
	entries := make([]atomEntry, len(changes))
	for i := range changes {
		entries[i] = f.entry(&changes[i])
	}
	return f.document(title, "Outputs that began to diverge, and those that ceased to", self, page, entries)
}
