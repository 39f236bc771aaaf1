package aggregator

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"repronet/dashboard"
	"repronet/internal/wire"
	"repronet/pkgset"
)

// registerPublic adds what is neither a page nor a reading of the index: the
// ledger as files, and what reporters and checkers need to begin.
func (a *Aggregator) registerPublic(router gin.IRouter, source dashboard.Source) {
	files := http.StripPrefix(wire.LogPath, http.FileServer(onlyFiles{http.Dir(a.ledgerDir())}))
	router.GET(wire.LogPath+"/*path", func(c *gin.Context) { a.logFile(c, files) })
	router.HEAD(wire.LogPath+"/*path", func(c *gin.Context) { a.logFile(c, files) })
	router.GET(wire.BuildersPath, a.buildersDocument)
	router.GET(wire.FilterPath(":name"), func(c *gin.Context) { a.setFilter(c, source) })
	a.registerExport(router)
	router.GET(wire.MapProofPath, a.mapProof)
}

// logFile serves the ledger's files. What is complete never changes; the
// checkpoint and unfinished tiles do.
func (a *Aggregator) logFile(c *gin.Context, files http.Handler) {
	path := c.Param("path")
	switch {
	case wire.LogPath+path == wire.LogKeyPath:
		c.String(http.StatusOK, "%s\n", a.key)
		return
	case path == "/checkpoint":
		c.Header("Cache-Control", "no-cache")
		c.Header("Content-Type", "text/plain; charset=utf-8")
	case strings.Contains(path, "/."): // the writer's own state
		c.Status(http.StatusNotFound)
		return
	case a.erasedFile(path):
		c.String(http.StatusGone, "This attachment was erased; an entry of the ledger says so.\n")
		return
	case strings.HasPrefix(path, attachmentsPath): // may be erased
		c.Header("Cache-Control", "public, max-age=3600")
		c.Header("Content-Type", "application/octet-stream")
	default:
		c.Header("Cache-Control", "public, max-age=31536000, immutable")
		c.Header("Content-Type", "application/octet-stream")
	}
	c.Header("Access-Control-Allow-Origin", "*")
	c.Header("X-Content-Type-Options", "nosniff")
	files.ServeHTTP(c.Writer, c.Request)
}

// onlyFiles hides directories.
type onlyFiles struct{ http.FileSystem }

func (f onlyFiles) Open(name string) (http.File, error) {
	file, err := f.FileSystem.Open(name)
	if err != nil {
		return nil, err
	}
	if info, err := file.Stat(); err != nil || info.IsDir() {
		return nil, closed(file)
	}
	return file, nil
}

func closed(file http.File) error {
	if err := file.Close(); err != nil {
		return err
	}
	return fs.ErrNotExist
}

// rosterDocument returns the roster and the checkpoint of exactly the entries that it
// is the fold of, so that it can be checked.
func (a *Aggregator) rosterDocument(ctx context.Context) (wire.Builders, error) {
	ctx, cancel := context.WithTimeout(ctx, receiptPatience)
	defer cancel()
	for {
		builders, size := a.ingest.Roster()
		checkpoint, err := a.log.WaitCheckpoint(ctx, size)
		if err != nil {
			return wire.Builders{}, err
		}
		// The checkpoint can be of more entries than were there at first. If they
		// changed nothing, the roster is that of the checkpoint.
		if since, _ := a.ingest.Roster(); reflect.DeepEqual(builders, since) {
			for i := range builders {
				a.markErased(&builders[i])
			}
			return wire.Builders{Checkpoint: string(checkpoint.Text), Size: checkpoint.Size, Builders: builders}, nil
		}
	}
}

// buildersDocument publishes the roster: the fold of the ledger's enrolments, so
// anybody can compute it.
func (a *Aggregator) buildersDocument(c *gin.Context) {
	document, err := a.rosterDocument(c)
	var text []byte
	if err == nil {
		text, err = json.MarshalIndent(document, "", " ")
	}
	if err != nil {
		a.deps.Logger.ErrorContext(c, "making the builder list", "error", err)
		refuse(c, wire.NewProblem(http.StatusServiceUnavailable, "try-later", "The builder list cannot be made now: ask again later."))
		return
	}
	c.Header("Access-Control-Allow-Origin", "*")
	c.Data(http.StatusOK, "application/json", append(text, '\n'))
}

// setFilter answers with the filter of a set's newest revision.
func (a *Aggregator) setFilter(c *gin.Context, source dashboard.Source) {
	name := c.Param("name")
	sets, err := source.Sets(c)
	if err != nil {
		a.filterProblem(c, err)
		return
	}
	for _, set := range sets {
		if set.Name != name {
			continue
		}
		filter, err := a.filterAt(c, set.Index)
		if err != nil {
			a.filterProblem(c, err)
			return
		}
		c.Header("ETag", strconv.Quote(strconv.FormatUint(set.Index, 10)))
		c.Header("Content-Type", "application/octet-stream")
		http.ServeContent(c.Writer, c.Request, "", time.Time{}, bytes.NewReader(filter))
		return
	}
	problem := wire.NewProblem(http.StatusNotFound, "not-found", "No package set of this name is published; /api/v1/sets lists them.")
	c.Header("Content-Type", "application/problem+json")
	c.JSON(problem.Status, problem)
}

func (a *Aggregator) filterProblem(c *gin.Context, err error) {
	a.deps.Logger.ErrorContext(c, "making a set's filter", "error", err)
	problem := wire.NewProblem(http.StatusServiceUnavailable, "try-later", "The package set cannot be read now: ask again later.")
	c.Header("Content-Type", "application/problem+json")
	c.JSON(problem.Status, problem)
}

func (a *Aggregator) filterAt(c *gin.Context, index uint64) ([]byte, error) {
	entry, err := a.ledger.Entry(c, index)
	if err != nil {
		return nil, err
	}
	set, err := pkgset.ParseEntry(entry.Body)
	if err != nil {
		return nil, err
	}
	attachment, err := a.ledger.Attachment(c, set.SHA256)
	if err != nil {
		return nil, err
	}
	members, err := pkgset.Decode(set.Ecosystem, attachment)
	if err != nil {
		return nil, err
	}
	return pkgset.Filter(set.Ecosystem, members), nil
}
