package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
)

type answer struct {
	Data struct {
		TaskID string `json:"task_id"`
		Status string
		Output struct {
			ImageURL string `json:"image_url"`
		}
		Error struct{ Message string }
	}
	Error *struct{ Message string }
}

func mien(method, path string, body []byte) answer {
	request, err := http.NewRequest(method, "https://swap.example.com/api/v1"+path, bytes.NewReader(body))
	if err != nil {
		log.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer YOUR_KEY")
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	var read answer
	if err := json.NewDecoder(response.Body).Decode(&read); err != nil {
		log.Fatal(err)
	}
	if read.Error != nil {
		log.Fatal(read.Error.Message)
	}
	return read
}

func main() {
	wanted, _ := json.Marshal(map[string]string{
		"model":      "face-swap",
		"image":      "https://swap.example.com/samples/park.jpg",
		"face_image": "https://swap.example.com/samples/woman.jpg",
	})
	task := mien("POST", "/images/tools/face-swap", wanted)
	for task.Data.Status == "IN_PROGRESS" {
		task = mien("GET", "/tasks/"+task.Data.TaskID+"?wait=60", nil)
	}
	if task.Data.Status == "completed" {
		fmt.Println(task.Data.Output.ImageURL)
	} else {
		fmt.Println(task.Data.Error.Message)
	}
}
