package dashboard

import (
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/danielgtaylor/huma/v2"
)

// textPage is a page of fixed text.
type textPage struct{ frame }

func (d *Dashboard) method(*gin.Context) (string, view, error) {
	return "method", &textPage{frame{Title: "Method", Section: "/method"}}, nil
}

type problemsPage struct {
	frame
	Kinds []ProblemKind
}

func (d *Dashboard) problems(*gin.Context) (string, view, error) {
	return "problems", &problemsPage{frame{Title: "Problems", Section: "/docs/api"}, ProblemKinds()}, nil
}

type apiPage struct {
	frame
	Try        []command
	Operations []operationRow
}

type operationRow struct {
	Path, Summary string
	Parameters    []string
}

func (d *Dashboard) apiGuide(c *gin.Context) (string, view, error) {
	v := &apiPage{frame: frame{Title: "API", Section: "/docs/api", JSON: openAPIPath}}
	base := d.baseURL(c)
	v.Try = append(
		shell("How much is reproduced?", "curl -s \x00", base+"/api/v1/summary"),
		shell("Where does one operator stand against all others?", "curl -s \x00", base+"/api/v1/divergences?shape=outlier&limit=10")...)
	v.Operations = slices.Clone(d.operations)
	return "api", v, nil
}

// describe lists the operations of an API that are read with GET.
func describe(api huma.API) []operationRow {
	var rows []operationRow
	for path, item := range api.OpenAPI().Paths {
		if item.Get == nil {
			continue
		}
		row := operationRow{Path: path, Summary: item.Get.Summary}
		for _, p := range item.Get.Parameters {
			if p.In == "query" {
				row.Parameters = append(row.Parameters, p.Name)
			}
		}
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b operationRow) int { return strings.Compare(a.Path, b.Path) })
	return rows
}
