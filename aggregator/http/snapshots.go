package http

import (
	"errors"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"repronet.dev/api"
)

// listSnapshots answers with the snapshots that there are.
func (s *Server) listSnapshots(c *gin.Context) {
	list := []api.Snapshot{}
	if s.parts.Snapshots.List != nil {
		var err error
		if list, err = s.parts.Snapshots.List(); err != nil {
			s.fail(c, err)
			return
		}
	}
	s.writeMade(c, notNil(list))
}

// snapshotFile answers with a file of a snapshot.
func (s *Server) snapshotFile(c *gin.Context) {
	missing := api.NewProblem(api.ProblemNotFound, "There is no such file, or the snapshot is gone, since only the newest are kept: "+api.SnapshotsPath+" lists them.")
	if s.snapshots == nil {
		s.fail(c, missing)
		return
	}
	s.fileOf(c, patient{c.Writer, http.NewResponseController(c.Writer)}, s.snapshots, c.Param("size")+c.Param("path"), bytesType, keepAnHour, missing)
}

// A patient writer bounds the time of each piece of an answer, in place of the bound of
// the whole: files are larger than a slow line takes in that time.
type patient struct {
	http.ResponseWriter
	deadline *http.ResponseController
}

func (p patient) Write(piece []byte) (int, error) {
	if err := p.deadline.SetWriteDeadline(time.Now().Add(exportStall)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return p.ResponseWriter.Write(piece)
}
