package reporter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/mod/sumdb/note"

	"repronet/enrolment/request"
	"repronet/internal/wire"
	"repronet/ledger"
	"repronet/signing/keys"
)

// A Desk is where an installation asks its aggregator to be enrolled.
type Desk struct {
	home   Home
	config *Config
	http   *http.Client
	base   string
	logKey note.Verifier
}

// NewDesk reaches the aggregator of an installation, and pins its log's key on
// first contact.
func (h Home) NewDesk(ctx context.Context) (*Desk, error) {
	config, err := h.Config()
	if err != nil {
		return nil, err
	}
	if config.Keyless() {
		_, err := h.Signer(config) // which says why there is none
		return nil, err
	}
	d := &Desk{home: h, config: config}
	if d.http, d.base, err = wire.Client(config.Aggregator, requestTimeout); err != nil {
		return nil, err
	}
	if d.logKey, err = h.pinnedLogKey(ctx, d.http, d.base); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// Close lets go of the connection.
func (d *Desk) Close() { d.http.CloseIdleConnections() }

// pinnedLogKey returns the pinned key of the aggregator's log; on first contact
// it pins the one that the aggregator names.
func (h Home) pinnedLogKey(ctx context.Context, client *http.Client, base string) (note.Verifier, error) {
	key, err := h.LogKey()
	if err != nil || key != nil {
		return key, err
	}
	text, err := fetchLogKey(ctx, client, base)
	if err != nil {
		return nil, err
	}
	return h.PinLogKey(text)
}

// Asking is what a volunteer says of themselves. It is published with the
// enrolment, and can be erased.
type Asking struct {
	Operator string // wanted name; empty: the one of the configuration
	Contact  string
}

// Statement returns what has to be signed to ask.
func (d *Desk) Statement(a Asking) (payload []byte, err error) {
	signer, err := d.home.Signer(d.config)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, signer.Close()) }()
	return d.asks(signer.Public(), a).Encode()
}

func (d *Desk) asks(key *keys.PublicKey, a Asking) *request.Request {
	if a.Operator == "" {
		a.Operator = d.config.Operator
	}
	return &request.Request{
		Origin: d.logKey.Name(), PublicKey: key, Operator: a.Operator, Contact: a.Contact,
		Created: time.Now().UTC().Truncate(time.Second),
	}
}

// Ask asks for the builder to be enrolled.
func (d *Desk) Ask(ctx context.Context, a Asking) (*wire.Enrolment, error) {
	payload, err := d.Statement(a)
	if err != nil {
		return nil, err
	}
	return d.askWith(ctx, payload, nil)
}

// AskAs asks for the builder to be enrolled as the Sigstore identity that signed
// the statement of [Desk.Statement]; bundle is what came of that.
func (d *Desk) AskAs(ctx context.Context, bundle []byte) (*wire.Enrolment, error) {
	var signed struct {
		Envelope struct {
			Payload []byte `json:"payload"`
		} `json:"dsseEnvelope"`
	}
	if err := json.Unmarshal(bundle, &signed); err != nil {
		return nil, fmt.Errorf("reading the identity's bundle: %w", err)
	}
	payload := signed.Envelope.Payload
	asked, err := request.Parse(payload)
	if err != nil {
		return nil, fmt.Errorf("reading the identity's bundle: %w", err)
	}
	if id := asked.PublicKey.Builder(); id != d.config.Builder {
		return nil, fmt.Errorf("the identity signed a request of builder %s, this is %s: sign what 'enrol --statement' prints here", id, d.config.Builder)
	}
	return d.askWith(ctx, payload, bundle)
}

func (d *Desk) askWith(ctx context.Context, payload, identity []byte) (answer *wire.Enrolment, err error) {
	signer, err := d.home.Signer(d.config)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, signer.Close()) }()
	bundle, err := signer.SignPayload(ctx, payload)
	if err != nil {
		return nil, err
	}
	return d.send(ctx, &request.Document{Request: bundle, Identity: identity}, d.config.Builder)
}

// send sends a request and returns the answer, with its receipt verified if the
// builder is enrolled.
func (d *Desk) send(ctx context.Context, document *request.Document, builder keys.BuilderID) (*wire.Enrolment, error) {
	text, err := document.Encode()
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.base+wire.EnrolmentsPath, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	return d.do(req, builder)
}

// State asks what became of the builder's request.
func (d *Desk) State(ctx context.Context) (*wire.Enrolment, error) {
	return d.stateOf(ctx, d.config.Builder)
}

func (d *Desk) stateOf(ctx context.Context, builder keys.BuilderID) (*wire.Enrolment, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.base+wire.EnrolmentsPath+"/"+string(builder), nil)
	if err != nil {
		return nil, err
	}
	return d.do(req, builder)
}

// maxAnswer bounds an answer in bytes: a receipt with an enrolment.
const maxAnswer = 256 << 10

func (d *Desk) do(req *http.Request, builder keys.BuilderID) (*wire.Enrolment, error) {
	resp, err := d.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("reaching the aggregator: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("reading the aggregator's answer: %w", err)
	}
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case media == "application/problem+json":
		var problem wire.Problem
		if err := json.Unmarshal(body, &problem); err != nil {
			return nil, fmt.Errorf("the aggregator answered %s", resp.Status)
		}
		problem.Status = resp.StatusCode
		return nil, &problem
	case resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusAccepted || media != "application/json":
		return nil, fmt.Errorf("the aggregator answered %s with %q: it takes no requests to be enrolled, or %s is not its address", resp.Status, media, d.base)
	}
	var answer wire.Enrolment
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("parsing the aggregator's answer: %w", err)
	}
	if answer.State != wire.Enrolled {
		return &answer, nil
	}
	return &answer, d.checkReceipt(answer.Receipt, builder)
}

// checkReceipt reports a receipt that does not prove the builder's enrolment.
func (d *Desk) checkReceipt(receipt *ledger.Receipt, builder keys.BuilderID) error {
	if receipt == nil {
		return errors.New("the aggregator says that the builder is enrolled, and gives no receipt")
	}
	entry, err := receipt.Verify(d.logKey)
	if err != nil {
		return err
	}
	var enrolled struct {
		Builder keys.BuilderID `json:"builder"`
	}
	if entry.Kind != ledger.Enrolment || json.Unmarshal(entry.Body, &enrolled) != nil || enrolled.Builder != builder {
		return fmt.Errorf("the receipt for ledger index %d does not show that builder %s is enrolled", receipt.Index, builder)
	}
	return nil
}
