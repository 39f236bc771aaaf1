package dashboard

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"repronet.dev/api"
	"repronet.dev/dashboard/questions"
	"repronet.dev/snapshot"
)

// Pages about the data as a whole.
const (
	DataPath      = "/data"
	QuestionsPath = DataPath + "/questions"
)

const (
	maxTitle = 200 // bytes of what a link calls a query
	firstSQL = "SELECT ecosystem, verdict, count() AS outputs\nFROM verdicts\nGROUP BY ecosystem, verdict\nORDER BY ecosystem, verdict"
)

type dataPage struct {
	frame
	Asked  asked
	Called string // what the link calls the query
	Kinds  []chartChoice
	Views  []snapshot.View
	From   *api.SQLAnswer // what the next question is answered from; nil: nothing
	Limits string

	Snapshots []snapshotRow
}

// A snapshotRow is a snapshot to take home.
type snapshotRow struct {
	Path, Entries, Size string
	Newest              moment // of its entries
}

type chartChoice struct {
	Name   string
	Chosen bool
}

// asked is a query with its result, as pages show both.
type asked struct {
	SQL     string
	Answer  *api.SQLAnswer
	Table   *resultTable
	Chart   *resultChart
	Lacks   string // why there is no chart
	Problem string // why there is no result
	Files   []resultFile
}

// A resultFile is the whole result in a format.
type resultFile struct{ Format, Href string }

// Data answers queries in SQL.
func (d *Dashboard) Data(c *gin.Context) { d.show(c, d.data) }

func (d *Dashboard) data(c *gin.Context) (string, view, error) {
	sql, kind := c.Query("q"), c.Query("chart")
	v := &dataPage{
		frame: frame{Title: "Data", Section: DataPath}, Views: snapshot.Views(),
		Called: strings.ToValidUTF8(c.Query("title")[:min(len(c.Query("title")), maxTitle)], ""),
	}
	if v.Called != "" {
		v.Title = v.Called
	}
	for _, name := range chartKinds {
		v.Kinds = append(v.Kinds, chartChoice{name, name == kind})
	}
	if d.config.SQLNext != nil {
		v.From, _ = d.config.SQLNext() // without one, the page says so
		v.Limits = d.config.SQLLimits()
	}
	var err error
	if v.Snapshots, err = d.snapshots(); err != nil {
		return "", nil, err
	}
	if strings.TrimSpace(sql) == "" {
		v.Asked.SQL = firstSQL
		return "data", v, nil
	}
	v.Asked, v.status, err = d.ask(c, sql, kind)
	return "data", v, err
}

func (d *Dashboard) snapshots() (rows []snapshotRow, err error) {
	if d.config.Snapshots == nil {
		return nil, nil
	}
	list, err := d.config.Snapshots()
	for _, s := range list {
		rows = append(rows, snapshotRow{s.Path, number(s.Size), number((s.Bytes + 1<<20 - 1) >> 20), newMoment(s.ReceivedAt, time.Now())})
	}
	return rows, err
}

// ask has a query answered. What is wrong with the query is part of what it returns, with the
// status of the page.
func (d *Dashboard) ask(c *gin.Context, sql, kind string) (a asked, status int, err error) {
	a = asked{SQL: sql}
	if d.config.SQL == nil || d.config.SQLNext == nil {
		return a, http.StatusServiceUnavailable, errors.New("the dashboard was given no console")
	}
	if _, err := d.config.SQLNext(); err != nil { // there is nothing to ask, and the page says so
		a.Problem = d.config.Problem(err).Detail
		return a, 0, nil
	}
	result, answer, err := d.config.SQL(c.Request, sql, resultRows+1)
	if err != nil {
		p := d.config.Problem(err)
		if p.Status == http.StatusInternalServerError {
			return a, 0, err
		}
		if p.Status != http.StatusUnprocessableEntity {
			c.Header("Retry-After", "5")
		}
		a.Problem = p.Detail
		return a, p.Status, nil
	}
	a.Answer, a.Table = answer, newResultTable(result)
	a.Chart, a.Lacks = newResultChart(kind, a.Table)
	for _, format := range api.SQLFormats() {
		a.Files = append(a.Files, resultFile{string(format), api.SQLPath + "?" + url.Values{"q": {sql}, "format": {string(format)}}.Encode()})
	}
	return a, 0, nil
}

type questionsPage struct {
	frame
	Questions []questionRow
}

type questionRow struct {
	questions.Question
	Href string
}

// Questions lists the questions that people ask.
func (d *Dashboard) Questions(c *gin.Context) { d.show(c, d.questions) }

func (d *Dashboard) questions(*gin.Context) (string, view, error) {
	v := &questionsPage{frame: frame{Title: "Questions that people ask", Section: DataPath}}
	all, err := questions.All()
	for _, q := range all {
		v.Questions = append(v.Questions, questionRow{q, QuestionsPath + "/" + q.Name})
	}
	return "questions", v, err
}

type questionPage struct {
	frame
	Question questions.Question
	Asked    asked
	Edit     string // URL of the page on which the query can be changed
}

// Question answers the question that "name" in the path names.
func (d *Dashboard) Question(c *gin.Context) { d.show(c, d.question) }

func (d *Dashboard) question(c *gin.Context) (string, view, error) {
	all, err := questions.All()
	if err != nil {
		return "", nil, err
	}
	for _, q := range all {
		if q.Name != c.Param("name") {
			continue
		}
		v := &questionPage{frame: frame{Title: q.Title, Section: DataPath}, Question: q}
		v.Edit = DataPath + "?" + url.Values{"q": {q.SQL}, "chart": {q.Chart}, "title": {q.Title}}.Encode()
		v.Asked, v.status, err = d.ask(c, q.SQL, q.Chart)
		return "question", v, err
	}
	return "", nil, api.NewProblem(api.ProblemNotFound, fmt.Sprintf("There is no question %.100q; %s lists them.", c.Param("name"), QuestionsPath))
}

// Heading is what the page is about.
func (v *dataPage) Heading() string { return cmp.Or(v.Called, "Ask the data") }
