package dashboard

import (
	"github.com/gin-gonic/gin"

	"repronet.dev/api"
	"repronet.dev/manifest/stabilize"
)

type methodPage struct {
	frame
	Stabilizers []stabilize.Stabilizer
}

func (d *Dashboard) method(*gin.Context) (string, view, error) {
	return "method", &methodPage{frame{Title: "Method", Section: "/method"}, stabilize.All()}, nil
}

type problemsPage struct {
	frame
	Kinds []api.ProblemExplanation
}

func (d *Dashboard) problems(*gin.Context) (string, view, error) {
	return "problems", &problemsPage{frame{Title: "Problems", Section: "/docs/api"}, api.ProblemKinds()}, nil
}

type apiPage struct {
	frame
	Try        []command
	Operations []Operation
}

func (d *Dashboard) apiGuide(c *gin.Context) (string, view, error) {
	v := &apiPage{frame: frame{Title: "API", Section: "/docs/api", JSON: api.OpenAPIPath}, Operations: d.config.Operations()}
	base := d.BaseURL(c)
	v.Try = append(
		shell("How much is reproduced?", "curl -s \x00", base+api.SummaryPath),
		shell("Where does one operator stand against all others?", "curl -s \x00", base+api.DivergencesPath+"?shape=outlier&limit=10")...)
	return "api", v, nil
}
