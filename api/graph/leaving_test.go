package graph

import (
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"opencloud/cloud"
)

func TestExport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		defer w.people.Close()
		for path, body := range map[string]string{
			"/.personal_data_export.json": "", "/.personal_data_export.json ": "{}", "my data.json": `{"storageLocation":"/my data.json"}`,
		} {
			w.do(202, "POST", "/graph/v1.0/users/alan/exportPersonalData", body, nil)
			synctest.Wait()
			if path[len(path)-1] == ' ' {
				path = path[:len(path)-1]
			}
			ref, _ := cloud.CleanPath(path)
			f, _, err := w.core.Open(w.ctx(), cloud.Ref{Space: w.home().ID, Path: ref}, "")
			if err != nil {
				t.Fatal(err)
			}
			var got object
			if err := json.NewDecoder(f).Decode(&got); err != nil || got["user"].(object)["name"] != "alan" {
				t.Errorf("%s: got %v, %v", path, got, err)
			}
			f.Close()
		}
		w.do(400, "POST", "/graph/v1.0/users/alan/exportPersonalData", `{"storageLocation":"/../x"}`, nil)
		w.do(400, "POST", "/graph/v1.0/users/alan/exportPersonalData", `{"storageLocation":1}`, nil)
		w.do(409, "POST", "/graph/v1.0/users/alan/exportPersonalData", `{"storageLocation":"none/x"}`, nil)
		w.do(404, "POST", "/graph/v1.0/users/grace/exportPersonalData", "", nil)
		w.user = admin
		w.do(403, "POST", "/graph/v1.0/users/alan/exportPersonalData", "", nil)
	})
}

// Users who were removed are in another place, from where they come back.
func TestDeletedUsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		w.opts.Retention = 24 * time.Hour
		w.serve()
		defer func() { w.people.Close() }()
		w.user = grace
		home := w.home()
		w.user = admin
		const list = "directory/deletedItems/microsoft.graph.user"
		one := "/graph/v1.0/directory/deletedItems/" + string(grace.ID)
		w.same("nobody", w.get(list), any(object{"value": []any{}}))
		w.do(404, "GET", one, "", nil)
		removed := time.Now().UTC()
		w.do(204, "DELETE", "/graph/v1.0/users/grace", "", nil)
		w.do(404, "GET", "/graph/v1.0/users/grace", "", nil)
		w.do(404, "DELETE", "/graph/v1.0/users/grace", "", nil)
		w.do(409, "POST", "/graph/v1.0/users", `{"displayName":"Grace","onPremisesSamAccountName":"grace"}`, nil)
		want := object{
			"id": string(grace.ID), "displayName": "grace", "onPremisesSamAccountName": "grace", "mail": "", "userType": "Member", "accountEnabled": false,
			"identities":      identitiesJSON(grace.ID),
			"deletedDateTime": removed.Format(time.RFC3339), "purgeDateTime": removed.Add(24 * time.Hour).Format(time.RFC3339),
		}
		w.same("deleted users", w.get(list), any(object{"value": []any{want}}))
		w.same("a deleted user", w.get("directory/deletedItems/"+string(grace.ID)), any(want))
		w.do(400, "GET", "/graph/v1.0/"+list+"?$filter=x", "", nil)
		w.do(200, "GET", "/graph/v1.0/drives/"+string(home.ID), "", nil)

		var back object
		w.do(200, "POST", one+"/restore", "", &back)
		w.same("restored", fmt.Sprint(back["displayName"], back["accountEnabled"]), "gracetrue")
		w.do(404, "POST", one+"/restore", "", nil)
		w.do(404, "DELETE", one, "", nil)
		w.do(200, "GET", "/graph/v1.0/users/grace", "", nil)

		w.do(204, "DELETE", "/graph/v1.0/users/grace", "", nil)
		w.do(204, "DELETE", one, "", nil)
		w.do(404, "GET", one, "", nil)
		w.do(404, "GET", "/graph/v1.0/drives/"+string(home.ID), "", nil)
		w.do(201, "POST", "/graph/v1.0/users", `{"displayName":"Grace","onPremisesSamAccountName":"grace"}`, nil)
	})
}
