package dashboard

import (
	"github.com/gin-gonic/gin"
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
	v := &apiPage{frame: frame{Title: "API", Section: "/docs/api", JSON: openAPIPath}, Operations: d.operations}
	base := d.baseURL(c)
	v.Try = append(
		shell("How much is reproduced?", "curl -s \x00", base+"/api/v1/summary"),
		shell("Where does one operator stand against all others?", "curl -s \x00", base+"/api/v1/divergences?shape=outlier&limit=10")...)
	return "api", v, nil
}
