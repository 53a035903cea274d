const mien = "https://swap.example.com/api/v1";
const headers = { Authorization: "Bearer YOUR_KEY", "Content-Type": "application/json" };

const answer = await fetch(`${mien}/images/tools/face-swap`, {
  method: "POST",
  headers,
  body: JSON.stringify({
    model: "face-swap",
    image: "https://swap.example.com/samples/park.jpg",
    face_image: "https://swap.example.com/samples/woman.jpg",
  }),
});
if (!answer.ok) throw new Error((await answer.json()).error.message);
let task = (await answer.json()).data;

while (task.status === "IN_PROGRESS") {
  const read = await fetch(`${mien}/tasks/${task.task_id}?wait=60`, { headers });
  task = (await read.json()).data;
}

console.log(task.status === "completed" ? task.output.image_url : task.error.message);
