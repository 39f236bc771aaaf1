package snapshot

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// The licence of the data: statements of facts, which nobody should have to ask for.
const (
	licenceID  = "CC0-1.0"
	licenceURL = "https://creativecommons.org/publicdomain/zero/1.0/"
)

const mediaType = "application/vnd.apache.parquet"

// indented writes a document for people to read, too.
func indented(document any) ([]byte, error) {
	text, err := json.Marshal(document, json.Deterministic(true), jsontext.WithIndent(" "))
	return append(text, '\n'), err
}

type (
	// packageDocument is a Data Package (https://specs.frictionlessdata.io/data-package/)
	// with one property of ours.
	packageDocument struct {
		Profile     string           `json:"profile"`
		Name        string           `json:"name"`
		Title       string           `json:"title"`
		Description string           `json:"description"`
		Version     string           `json:"version"`
		Created     time.Time        `json:"created"`
		Licenses    []packageLicence `json:"licenses"`
		Repronet    *Description     `json:"repronet"`
		Resources   []resource       `json:"resources"`
	}
	packageLicence struct {
		Name string `json:"name"`
		Path string `json:"path"`
	}
	resource struct {
		Name        string        `json:"name"`
		Description string        `json:"description"`
		Path        []string      `json:"path,omitempty"`
		Data        *[]struct{}   `json:"data,omitzero"` // of a view without a file
		Format      string        `json:"format"`
		MediaType   string        `json:"mediatype"`
		Rows        int64         `json:"rows"`
		Schema      packageSchema `json:"schema"`
	}
	packageSchema struct {
		Fields []packageField `json:"fields"`
	}
	packageField struct {
		Name        string          `json:"name"`
		Type        string          `json:"type"` // https://specs.frictionlessdata.io/table-schema/
		Description string          `json:"description"`
		Constraints map[string]bool `json:"constraints,omitempty"`
	}
)

// dataPackage writes PackageFile.
func dataPackage(d *Description, f files) ([]byte, error) {
	types := map[Type]string{String: "string", Integer: "integer", Timestamp: "datetime", Boolean: "boolean", Strings: "array"}
	p := packageDocument{
		Profile: "data-package", Name: "repronet-snapshot", Title: d.title(), Description: about, Version: fmt.Sprint(d.Size),
		Created: d.ReceivedAt, Licenses: []packageLicence{{licenceID, licenceURL}}, Repronet: d,
	}
	for _, v := range views {
		r := resource{
			Name: v.Name, Description: v.Description, Path: f.paths(v.Name), Format: "parquet", MediaType: mediaType, Rows: f.rows(v.Name),
		}
		if len(r.Path) == 0 {
			r.Data = &[]struct{}{}
		}
		for _, c := range v.Columns {
			field := packageField{Name: c.Name, Type: types[c.Type], Description: c.Description}
			if !c.Nullable {
				field.Constraints = map[string]bool{"required": true}
			}
			r.Schema.Fields = append(r.Schema.Fields, field)
		}
		p.Resources = append(p.Resources, r)
	}
	return indented(p)
}

// object is a node of JSON-LD; its keys are written in the order of the alphabet.
type object map[string]any

// croissant writes CroissantFile (https://docs.mlcommons.org/croissant/docs/croissant-spec.html).
func croissant(d *Description, f files) ([]byte, error) {
	var distribution, records []object
	for _, view := range slices.Sorted(maps.Keys(f)) {
		for _, file := range f[view] {
			distribution = append(distribution, object{
				"@type": "cr:FileObject", "@id": file.path, "name": file.path, "contentUrl": file.path,
				"contentSize": fmt.Sprintf("%d B", file.size), "encodingFormat": mediaType, "sha256": file.sum.Hex(),
			})
		}
	}
	for _, v := range views {
		if len(f[v.Name]) == 0 {
			continue
		}
		source := object{"fileObject": object{"@id": v.Glob()}}
		if v.Files != Whole {
			source = object{"fileSet": object{"@id": v.Name + "-files"}}
			var in []object
			for _, path := range f.paths(v.Name) {
				in = append(in, object{"@id": path})
			}
			distribution = append(distribution, object{
				"@type": "cr:FileSet", "@id": v.Name + "-files", "name": v.Name + "-files", "containedIn": in, "includes": v.Glob(), "encodingFormat": mediaType,
			})
		}
		records = append(records, recordSet(&v, source))
	}
	return indented(object{
		"@context": croissantContext, "@type": "sc:Dataset", "conformsTo": "http://mlcommons.org/croissant/1.0",
		"name": "repronet-snapshot", "description": about, "license": licenceURL, "version": fmt.Sprintf("%d.0.0", d.Size),
		"datePublished": d.ReceivedAt.Format(time.DateOnly), "citeAs": d.title(), "distribution": distribution, "recordSet": records,
	})
}

// recordSet describes the rows of a view.
func recordSet(v *View, source object) object {
	types := map[Type]string{String: "sc:Text", Integer: "sc:Integer", Timestamp: "sc:DateTime", Boolean: "sc:Boolean", Strings: "sc:Text"}
	var fields []object
	for _, c := range v.Columns {
		from := maps.Clone(source)
		from["extract"] = object{"column": c.Name}
		field := object{"@type": "cr:Field", "@id": v.Name + "/" + c.Name, "name": c.Name, "description": c.Description, "dataType": types[c.Type], "source": from}
		if c.Type == Strings {
			field["repeated"] = true
		}
		fields = append(fields, field)
	}
	return object{"@type": "cr:RecordSet", "@id": v.Name, "name": v.Name, "description": v.Description, "field": fields}
}

// croissantContext says what the names in a Croissant document stand for.
var croissantContext = object{
	"@language": "en", "@vocab": "https://schema.org/", "sc": "https://schema.org/", "cr": "http://mlcommons.org/croissant/",
	"dct": "http://purl.org/dc/terms/", "citeAs": "cr:citeAs", "column": "cr:column", "conformsTo": "dct:conformsTo",
	"containedIn": "cr:containedIn", "data": object{"@id": "cr:data", "@type": "@json"}, "dataType": object{"@id": "cr:dataType", "@type": "@vocab"},
	"extract": "cr:extract", "field": "cr:field", "fileObject": "cr:fileObject", "fileProperty": "cr:fileProperty", "fileSet": "cr:fileSet",
	"format": "cr:format", "includes": "cr:includes", "isLiveDataset": "cr:isLiveDataset", "jsonPath": "cr:jsonPath", "key": "cr:key",
	"md5": "cr:md5", "parentField": "cr:parentField", "path": "cr:path", "recordSet": "cr:recordSet", "references": "cr:references",
	"regex": "cr:regex", "repeated": "cr:repeated", "replace": "cr:replace", "separator": "cr:separator", "source": "cr:source",
	"subField": "cr:subField", "transform": "cr:transform",
}

// citation writes CitationFile (https://github.com/citation-file-format/citation-file-format).
// A string of Go is one of YAML: the origin has ASCII letters, digits and dots.
func citation(d *Description, _ files) ([]byte, error) {
	return fmt.Appendf(nil, `cff-version: 1.2.0
message: "If you use this data, please cite it as below: the size and root hash name it for ever."
type: dataset
title: %q
authors:
  - name: %q
version: "%d"
date-released: %s
license: %s
identifiers:
  - type: other
    value: %q
    description: "origin, size and root hash of the ledger that the data follows from"
`, d.title(), "The builders of "+d.Origin, d.Size, d.ReceivedAt.Format(time.DateOnly), licenceID, fmt.Sprintf("%s %d %s", d.Origin, d.Size, d.Root)), nil
}

// licence writes LicenceFile.
func licence(*Description, files) ([]byte, error) {
	return []byte(`SPDX-License-Identifier: ` + licenceID + `

The data in this directory are statements of facts. To the extent possible under law, those who
publish them have waived all copyright and related or neighbouring rights to them, as the CC0 1.0
Universal dedication says: ` + licenceURL + `
`), nil
}
