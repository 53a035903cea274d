<?php
function mien(string $path, ?array $body = null): array
{
    $request = curl_init("https://swap.example.com/api/v1$path");
    curl_setopt_array($request, [
        CURLOPT_RETURNTRANSFER => true,
        CURLOPT_HTTPHEADER => ["Authorization: Bearer YOUR_KEY", "Content-Type: application/json"],
    ]);
    if ($body !== null) {
        curl_setopt($request, CURLOPT_POSTFIELDS, json_encode($body));
    }
    $answer = json_decode(curl_exec($request), true);
    if (isset($answer["error"])) {
        throw new RuntimeException($answer["error"]["message"]);
    }
    return $answer["data"];
}

$task = mien("/images/tools/face-swap", [
    "model" => "face-swap",
    "image" => "https://swap.example.com/samples/park.jpg",
    "face_image" => "https://swap.example.com/samples/woman.jpg",
]);

while ($task["status"] === "IN_PROGRESS") {
    $task = mien("/tasks/{$task['task_id']}?wait=60");
}

echo $task["status"] === "completed" ? $task["output"]["image_url"] : $task["error"]["message"], "\n";
