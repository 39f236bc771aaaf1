package dashboard

import (
	"net/url"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"repronet.dev/api"
)

// Limits of the pages of maintainers; where something is left out, a page says so.
const (
	maintainersOnPage  = 60
	maintainerOnPage   = 40   // rows of each kind
	maintainerListRows = 1000 // likewise, of documents beside the page
)

type maintainersPage struct {
	frame
	Text  string // that was looked for
	Rows  []maintainerRow
	Next  string // URL of the next page
	First string // URL of the first, "" on it
}

type maintainerRow struct {
	Name   string
	Href   string
	Counts counts
}

func maintainerURL(name string) string { return namedURL(MaintainersPath, name) }

// besideMaintainer is a document beside the page of a maintainer.
func besideMaintainer(name, suffix string) string {
	return MaintainersPath + "/" + url.PathEscape(name) + suffix
}

func newMaintainerRow(m *api.MaintainerRow) maintainerRow {
	return maintainerRow{m.Name, maintainerURL(m.Name), newCounts(&Summary{
		Outputs: m.All(), Compared: m.Compared(), Reproduced: m.Reproduced, Diverged: m.Diverged, Single: m.Single, Unbuilt: m.Unbuilt,
	})}
}

func (d *Dashboard) maintainers(c *gin.Context) (string, view, error) {
	text, err := searchedText(c)
	if err != nil {
		return "", nil, err
	}
	asked := MaintainerQuery{Text: text, Limit: maintainersOnPage, Cursor: c.Query("cursor")}
	page, err := d.source.Maintainers(c.Request.Context(), asked)
	if err != nil {
		return "", nil, err
	}
	v := &maintainersPage{frame: frame{Title: "Maintainers", Section: PackagesPath, JSON: MaintainerQuery{Text: text, Cursor: asked.Cursor}.URL(api.MaintainersPath)}, Text: text}
	for i := range page.Maintainers {
		v.Rows = append(v.Rows, newMaintainerRow(&page.Maintainers[i]))
	}
	if asked.Cursor != "" {
		v.First = MaintainerQuery{Text: text}.URL(MaintainersPath)
	}
	if page.Next != "" {
		v.Next = MaintainerQuery{Text: text, Cursor: page.Next}.URL(MaintainersPath)
	}
	return "maintainers", v, nil
}

type maintainerPage struct {
	frame
	Name        string
	Answer      string
	Counts      counts
	Sets        []link
	Regressions []divergenceRow
	Diverged    []divergenceRow
	Left        uint64 // divergences that are not listed
	All         string // URL of the list of the maintainer's divergences
	Waiting     []waitingRow
	MoreWaiting uint64
	Feed, CSV   string
}

// A waitingRow is an output that fewer than two operators built.
type waitingRow struct {
	Name      name
	Verdict   api.Verdict
	Attribute string
	System    string
	Set       link
	Since     moment
}

func (d *Dashboard) findMaintainer(c *gin.Context, limit int) (*Maintainer, error) {
	name, err := namedIn(c, "maintainer")
	if err != nil {
		return nil, err
	}
	found, err := d.source.Maintainer(c.Request.Context(), name, limit)
	return found, Missing(err, "No package set that is published here names “%s” as a maintainer. The page %s lists those that are named.", name, MaintainersPath)
}

func (d *Dashboard) maintainer(c *gin.Context) (string, view, error) {
	m, err := d.findMaintainer(c, maintainerOnPage)
	if err != nil {
		return "", nil, err
	}
	covered, err := d.source.Watermark(c.Request.Context())
	if err != nil {
		return "", nil, err
	}
	now, row := time.Now(), newMaintainerRow(&m.MaintainerRow)
	feed, csv := besideMaintainer(m.Name, FeedSuffix), besideMaintainer(m.Name, ".csv")
	v := &maintainerPage{
		frame: frame{
			Title: m.Name, Section: PackagesPath, JSON: besideMaintainer(m.Name, ".json"), Indexed: covered.Indexed,
			Alternates: []alternate{{atomType, "Maintainer " + m.Name, feed}, {"text/csv", "This list as CSV", csv}},
		},
		Name: m.Name, Answer: answerTo(m), Counts: row.Counts, All: DivergenceQuery{Maintainer: m.Name}.URL(DivergencesPath), Feed: feed, CSV: csv,
	}
	for _, set := range m.Sets {
		v.Sets = append(v.Sets, link{set, setURL(set, "")})
	}
	for _, divergence := range m.Regressions {
		v.Regressions = append(v.Regressions, newDivergenceRow(divergence, now))
	}
	for _, divergence := range m.Divergences {
		v.Diverged = append(v.Diverged, newDivergenceRow(divergence, now))
	}
	listed := uint64(len(v.Regressions) + len(v.Diverged))
	v.Left = m.Diverged - min(m.Diverged, listed)
	for _, u := range m.Unconfirmed {
		v.Waiting = append(v.Waiting, waitingRow{outputName(u.OutputRow), u.Verdict, u.Attribute, u.System, link{u.Set, setURL(u.Set, "")}, newMoment(u.Since, now)})
	}
	waiting := m.Single + m.Unbuilt
	v.MoreWaiting = waiting - min(waiting, uint64(len(v.Waiting)))
	return "maintainer", v, nil
}

// answerTo says in a sentence what a maintainer has to look after.
func answerTo(m *Maintainer) string {
	of := count(m.All(), "output")
	switch {
	case len(m.Regressions) > 0:
		return count(uint64(len(m.Regressions)), "regression") + " among " + number(m.Diverged) + " that diverge, of " + of
	case m.Diverged > 0:
		return "Nothing regressed; " + number(m.Diverged) + " of " + of + " diverge"
	case m.Compared() > 0:
		return "Nothing diverges: " + number(m.Reproduced) + " of " + of + " are reproduced"
	}
	return "Nothing of " + of + " is compared yet"
}

// MaintainerJSON is what a maintainer has to look after, as the API says it.
func (d *Dashboard) MaintainerJSON(c *gin.Context) (*Document, error) {
	m, err := d.listMaintainer(c)
	if err != nil {
		return nil, err
	}
	return written(m)
}

func (d *Dashboard) listMaintainer(c *gin.Context) (*Maintainer, error) {
	if err := refuseOthers(c, "limit"); err != nil {
		return nil, err
	}
	limit, err := limitOf(c, maintainerListRows)
	if err != nil {
		return nil, err
	}
	return d.findMaintainer(c, limit)
}

// MaintainerCSV is what a maintainer has to look after, a row for each output.
func (d *Dashboard) MaintainerCSV(c *gin.Context) (*Document, error) {
	m, err := d.listMaintainer(c)
	if err != nil {
		return nil, err
	}
	rows := [][]string{{"what", "output", "ecosystem", "build", "verdict", "since", "entry", "regressed", "set", "attribute", "system", "operators", "digests"}}
	for _, list := range []struct {
		what        string
		divergences []Divergence
	}{{"regression", m.Regressions}, {"divergence", m.Divergences}} {
		for i := range list.divergences {
			o := &list.divergences[i]
			rows = append(rows, []string{
				list.what, o.Key, o.Ecosystem, o.Build, string(o.Verdict), stamp(o.Since), strconv.FormatUint(o.Index, 10), o.Regressed, "", "", "",
				strconv.Itoa(o.Operators), strconv.Itoa(o.Digests),
			})
		}
	}
	for i := range m.Unconfirmed {
		u := &m.Unconfirmed[i]
		rows = append(rows, []string{
			"unconfirmed", u.Key, u.Ecosystem, u.Build, string(u.Verdict), stamp(u.Since), strconv.FormatUint(u.Revision, 10), "", u.Set, u.Attribute, u.System,
			strconv.Itoa(u.Operators), strconv.Itoa(u.Digests),
		})
	}
	return writtenCSV("maintainer.csv", rows)
}

// MaintainerFeed is the newest changes of verdicts on a maintainer's outputs, to diverged and
// back.
func (d *Dashboard) MaintainerFeed(c *gin.Context) (*Document, error) {
	if err := refuseOthers(c); err != nil {
		return nil, err
	}
	m, err := d.findMaintainer(c, 1)
	if err != nil {
		return nil, err
	}
	return d.changesFeed(c, ChangeQuery{Maintainer: m.Name}, "Maintainer "+Plain(m.Name, feedTitle), besideMaintainer(m.Name, FeedSuffix), maintainerURL(m.Name))
}
