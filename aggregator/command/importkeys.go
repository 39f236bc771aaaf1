package command

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"repronet.dev/aggregator/admin"
	"repronet.dev/api"
	"repronet.dev/enrolment"
	"repronet.dev/evidence/guixsigs"
	"repronet.dev/evidence/openpgp"
	"repronet.dev/internal/cli"
	"repronet.dev/signing"
)

// importer enrols the certificates of directories.
type importer struct {
	to          admin.Caller
	project     string
	tier        enrolment.Tier
	operatorsOf operatorsOf
	known       map[signing.BuilderID]api.RosterBuilder
	operators   map[string]bool

	files        []*guixsigs.KeyFile
	certificates []*openpgp.Certificate // all of them, in order

	result imported
}

// imported is what became of what was found.
type imported struct {
	Enrolled int          `json:"enrolled"`
	Known    int          `json:"known"`
	Skipped  int          `json:"skipped"` // files and certificates that could not be taken
	Files    keyFiles     `json:"files"`
	Imported []importedOf `json:"imported"` // the files of keys, in order
	// CannotCount are the certificates of which nothing can ever count, or nothing
	// that was found does.
	CannotCount []cannotCount `json:"cannotCount"`
	// SameUserID are files with a user id in common that are several operators.
	SameUserID []sameUserID `json:"sameUserID"`
	Failures   []failure    `json:"failures"`
}

// keyFiles adds up: Total is the sum of the others.
type keyFiles struct {
	Total     int `json:"total"`
	Keys      int `json:"keys"`      // with certificates
	Unusable  int `json:"unusable"`  // to be keys, and none
	Documents int `json:"documents"` // and their signatures
	Others    int `json:"others"`    // neither
}

type importedOf struct {
	File         string                `json:"file"`
	Operator     string                `json:"operator"`
	Certificates []openpgp.Fingerprint `json:"certificates"`
}

type cannotCount struct {
	File        string              `json:"file"`
	Fingerprint openpgp.Fingerprint `json:"fingerprint"`
	Reason      string              `json:"reason"`
}

type sameUserID struct {
	Files     []string `json:"files"`
	Operators []string `json:"operators"`
}

type failure struct {
	File   string `json:"file"`
	Reason string `json:"reason"`
}

func newImporter(to admin.Caller, project string, tier enrolment.Tier) *importer {
	return &importer{
		to: to, project: project, tier: tier, known: map[signing.BuilderID]api.RosterBuilder{}, operators: map[string]bool{},
		result: imported{Imported: []importedOf{}, CannotCount: []cannotCount{}, SameUserID: []sameUserID{}, Failures: []failure{}},
	}
}

func (i *importer) run(ctx context.Context, env *cli.Env, out *output, dirs []string) error {
	builders, err := admin.Builders.Do(ctx, i.to, admin.None{})
	if err != nil {
		return err
	}
	for _, b := range builders {
		i.known[b.ID], i.operators[b.Operator] = b, true
	}
	for _, operator := range i.operatorsOf {
		i.operators[operator] = true // no file becomes that operator by its own name
	}
	for _, dir := range dirs {
		if err := i.read(dir); err != nil {
			return err
		}
	}
	if err := i.operatorsOf.check(i.files); err != nil {
		return cli.Usagef("%w", err)
	}
	progress := cli.NewProgress(env.Stderr)
	for _, file := range i.files {
		if err := i.file(ctx, file); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			i.fail(file.Path, err)
		}
		progress.Show("%d files, %d certificates enrolled, %d known", len(i.result.Imported), i.result.Enrolled, i.result.Known)
	}
	progress.Clear()
	use := newUsage(i.project, i.certificates)
	for _, dir := range dirs {
		if err := use.read(dir); err != nil {
			return err
		}
	}
	i.judge(use.reasons())
	i.findSameUserIDs()
	i.tell(env.Stderr)
	if err := i.say(env, out); err != nil {
		return err
	}
	switch {
	case i.result.Files.Keys == 0:
		return fmt.Errorf("no keys were found among %d files of %s: looked for OpenPGP certificates as gpg --export writes them, armored or not (.gpg, .asc, .pgp)",
			i.result.Files.Total, strings.Join(dirs, ", "))
	case i.result.Skipped > 0:
		return cli.Exit(cli.Failure)
	}
	return nil
}

// read reads the keys of a directory.
func (i *importer) read(dir string) error {
	tree, err := guixsigs.OpenLayout(dir, guixsigs.Any)
	if err != nil {
		return err
	}
	defer tree.Close()
	for file := range tree.Files() {
		i.result.Files.Total++
		key, err := file.KeyOf()
		switch {
		case err != nil:
			i.result.Files.Unusable++
			i.fail(file.Path, err)
		case key != nil:
			i.result.Files.Keys++
			i.files = append(i.files, key)
			i.certificates = append(i.certificates, key.Certificates...)
			for _, err := range key.Failures {
				i.fail(file.Path, err)
			}
		case len(file.Documents) > 0 || file.SignatureOf != "":
			i.result.Files.Documents++
		default:
			i.result.Files.Others++
		}
	}
	return nil
}

func (i *importer) fail(file string, err error) {
	i.result.Skipped++
	i.result.Failures = append(i.result.Failures, failure{file, err.Error()})
}

// tell says on standard error what was not as wished.
func (i *importer) tell(w io.Writer) {
	for _, f := range i.result.Failures {
		fmt.Fprintf(w, "passed over: %q: %s\n", f.File, f.Reason)
	}
	for _, c := range i.result.CannotCount {
		fmt.Fprintf(w, "cannot count: certificate %s of %q: %s\n", c.Fingerprint, c.File, c.Reason)
	}
	for _, s := range i.result.SameUserID {
		fmt.Fprintf(w, "one person? %s have a user id in common, and are the operators %s: give --operator-of FILE=NAME for each, if they are one\n",
			quoted(s.Files), strings.Join(s.Operators, " and "))
	}
}

// say prints the sums.
func (i *importer) say(env *cli.Env, out *output) error {
	r, f := &i.result, &i.result.Files
	return out.say(env, r, "%d certificates enrolled for %s, %d were enrolled before, %d passed over; %d files: %d with keys, %d unusable ones, %d documents and signatures, %d others",
		r.Enrolled, i.project, r.Known, r.Skipped, f.Total, f.Keys, f.Unusable, f.Documents, f.Others)
}

func quoted(names []string) string {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = fmt.Sprintf("%q", name)
	}
	return strings.Join(list, " and ")
}

// file enrols the certificates of one file as one operator.
func (i *importer) file(ctx context.Context, file *guixsigs.KeyFile) error {
	operator, err := i.operator(file)
	if err != nil {
		return err
	}
	i.operators[operator] = true
	of := importedOf{File: file.Path, Operator: operator}
	for _, certificate := range file.Certificates {
		if err := i.certificate(ctx, operator, certificate); err != nil {
			return err
		}
		of.Certificates = append(of.Certificates, certificate.Fingerprint())
	}
	i.result.Imported = append(i.result.Imported, of)
	return nil
}

func (i *importer) certificate(ctx context.Context, operator string, certificate *openpgp.Certificate) error {
	packets := certificate.Bytes()
	sum := sha256.Sum256(packets)
	known := i.known[certificate.Builder()]
	if n := slices.IndexFunc(known.OpenPGP, func(c api.RosterCertificate) bool {
		return c.Project == i.project && c.Certificate == hex.EncodeToString(sum[:])
	}); n >= 0 {
		if known.OpenPGP[n].Erased {
			return fmt.Errorf("certificate %s was erased, and stays so", certificate.Fingerprint())
		}
		i.result.Known++
		return nil
	}
	stored, err := admin.Attach.DoWith(ctx, i.to, admin.None{}, admin.Streams{Input: bytes.NewReader(packets)})
	if err != nil {
		return err
	}
	e := &enrolment.Enrolment{
		Builder: certificate.Builder(), Operator: operator, Tier: i.tier,
		OpenPGP: &enrolment.OpenPGP{Fingerprint: certificate.Fingerprint(), Project: i.project, Certificate: stored.SHA256},
	}
	if known.Tier != "" {
		e.Tier = enrolment.Tier(known.Tier) // a project's keys do not decide it
	}
	if _, err := admin.Enrol.Do(ctx, i.to, *e); err != nil {
		return err
	}
	i.result.Enrolled++
	known.ID, known.Operator, known.Tier = e.Builder, operator, api.Tier(e.Tier)
	known.OpenPGP = append(known.OpenPGP, api.RosterCertificate{
		Fingerprint: string(e.OpenPGP.Fingerprint), Project: i.project, Certificate: stored.SHA256.Hex(),
	})
	i.known[e.Builder] = known
	return nil
}

// operator returns who is behind a file: the operator for which one of its
// certificates is enrolled, or the one that was named for it, or else a new one.
func (i *importer) operator(file *guixsigs.KeyFile) (string, error) {
	var operator string
	for _, c := range file.Certificates {
		b, known := i.known[c.Builder()]
		switch {
		case !known:
		case operator == "":
			operator = b.Operator
		case operator != b.Operator:
			return "", fmt.Errorf("its certificates are enrolled for the operators %s and %s: a file is one operator", operator, b.Operator)
		}
	}
	named := i.operatorsOf.of(file.Path)
	switch {
	case named != "" && operator != "" && named != operator:
		return "", fmt.Errorf("it is enrolled for operator %s, and a builder's operator never changes: it cannot become %s", operator, named)
	case named != "":
		return named, nil
	case operator != "":
		return operator, nil
	}
	name := pseudonym(strings.TrimSuffix(path.Base(file.Path), path.Ext(file.Path)))
	operator = name
	for n := 2; i.operators[operator]; n++ {
		suffix := fmt.Sprintf("-%d", n)
		operator = name[:min(len(name), maxOperator-len(suffix))] + suffix
	}
	return operator, nil
}

// judge names the certificates of which nothing counts.
func (i *importer) judge(reasons map[openpgp.Fingerprint]string) {
	for _, file := range i.files {
		for _, c := range file.Certificates {
			reason := cmp.Or(c.NeverCounts(), reasons[c.Fingerprint()])
			if reason != "" {
				i.result.CannotCount = append(i.result.CannotCount, cannotCount{file.Path, c.Fingerprint(), reason})
			}
		}
	}
}

// findSameUserIDs finds files with a user id in common that are not one operator.
func (i *importer) findSameUserIDs() {
	operatorOf := map[string]string{}
	for _, of := range i.result.Imported {
		operatorOf[of.File] = of.Operator
	}
	with := map[string][]string{} // files by user id
	for _, file := range i.files {
		for _, c := range file.Certificates {
			for _, id := range c.UserIDs() {
				if !slices.Contains(with[id], file.Path) {
					with[id] = append(with[id], file.Path)
				}
			}
		}
	}
	for _, files := range with {
		var operators []string
		for _, file := range files {
			if of := operatorOf[file]; of != "" && !slices.Contains(operators, of) {
				operators = append(operators, of)
			}
		}
		if len(operators) > 1 {
			i.result.SameUserID = append(i.result.SameUserID, sameUserID{files, operators})
		}
	}
	compare := func(a, b sameUserID) int { return slices.Compare(a.Files, b.Files) }
	slices.SortFunc(i.result.SameUserID, compare)
	i.result.SameUserID = slices.CompactFunc(i.result.SameUserID, func(a, b sameUserID) bool { return compare(a, b) == 0 })
}
