package submittest

import (
	"encoding/json"
	"io"
	"net/http"
	"time"

	"repronet.dev/api"
	"repronet.dev/enrolment"
	"repronet.dev/enrolment/request"
	"repronet.dev/ledger"
	"repronet.dev/signing"
)

// joining is what an Aggregator does with those who ask to be enrolled. It is
// guarded by the Aggregator's mutex.
type joining struct {
	at    map[signing.BuilderID]uint64 // ledger index of the enrolment
	queue bool
	lie   func(*api.Enrolment)
}

// Queue has requests wait, but for those that an enrolled key endorses. Without it
// everybody is enrolled at once.
func (a *Aggregator) Queue(wait bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.joining.queue = wait
}

// LieOfEnrolment has every answer to a request to be enrolled go through lie; nil
// ends that. A lie that panics with http.ErrAbortHandler tears the connection.
func (a *Aggregator) LieOfEnrolment(lie func(*api.Enrolment)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.joining.lie = lie
}

func (a *Aggregator) ask(w http.ResponseWriter, r *http.Request) {
	document, err := io.ReadAll(io.LimitReader(r.Body, request.MaxSize))
	if err != nil {
		Refuse(w, http.StatusBadRequest, "malformed", err.Error())
		return
	}
	a.mu.Lock()
	asked, err := enrolment.OpenRequest(document, "log.example/test", a.lookup, time.Now())
	wait := a.joining.queue
	a.mu.Unlock()
	if err != nil {
		Refuse(w, http.StatusForbidden, "refused", err.Error())
		return
	}
	if _, known := a.enrolledAt(asked.Builder()); !known && (asked.Asked().Replaces != "" || !wait) {
		key := asked.Asked().PublicKey
		body, err := (&enrolment.Enrolment{
			Builder: key.Builder(), PublicKey: key.DER(), Operator: "alice", Tier: enrolment.Counted, Replaces: asked.Asked().Replaces,
		}).Encode()
		var index uint64
		if err == nil {
			index, err = a.Append(r.Context(), ledger.Enrolment, body)
		}
		if err != nil {
			Refuse(w, http.StatusServiceUnavailable, "try-later", err.Error())
			return
		}
		a.Enrol(key)
		a.mu.Lock()
		a.joining.at[key.Builder()] = index
		if asked.Asked().RevokeReplaced {
			delete(a.enrolled, asked.Asked().Replaces)
		}
		a.mu.Unlock()
	}
	a.tell(w, r, asked.Builder())
}

func (a *Aggregator) enrolledAt(id signing.BuilderID) (uint64, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	index, known := a.joining.at[id]
	return index, known
}

func (a *Aggregator) state(w http.ResponseWriter, r *http.Request) {
	a.tell(w, r, signing.BuilderID(r.PathValue("builder")))
}

func (a *Aggregator) tell(w http.ResponseWriter, r *http.Request, id signing.BuilderID) {
	answer := api.Enrolment{Builder: id, State: api.Pending, Next: "wait"}
	if index, enrolled := a.enrolledAt(id); enrolled {
		receipt, err := a.log.Receipt(r.Context(), index)
		if err != nil {
			Refuse(w, http.StatusServiceUnavailable, "try-later", err.Error())
			return
		}
		answer = api.Enrolment{Builder: id, State: api.Enrolled, Operator: "alice", Tier: "counted", Receipt: receipt}
	}
	a.mu.Lock()
	lie := a.joining.lie
	a.mu.Unlock()
	if lie != nil {
		lie(&answer)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}
