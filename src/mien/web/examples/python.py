import httpx  # pip install httpx

mien = httpx.Client(
    base_url="https://swap.example.com/api/v1",
    headers={"Authorization": "Bearer YOUR_KEY"},
    timeout=90,
)

answer = mien.post(
    "/images/tools/face-swap",
    json={
        "model": "face-swap",
        "image": "https://swap.example.com/samples/park.jpg",
        "face_image": "https://swap.example.com/samples/woman.jpg",
    },
)
answer.raise_for_status()
task = answer.json()["data"]

while task["status"] == "IN_PROGRESS":
    task = mien.get(f"/tasks/{task['task_id']}", params={"wait": 60}).json()["data"]

if task["status"] == "completed":
    print(task["output"]["image_url"])
else:
    print(task["error"]["message"])
